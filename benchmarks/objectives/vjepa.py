"""V-JEPA: the latents of hidden tokens of clips, told by the visible ones.

Bardes et al. 2024, "Revisiting Feature Prediction for Learning Visual Representations
from Video"; Assran et al. 2025, "V-JEPA 2". Targets are tokens of a moving average of
the encoder that sees the whole clip.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from benchmarks.objectives.learner import SEEN, Learner, Play
from worldmodel.training.objectives.vjepa import (
    MaskedPrediction,
    ema_update,
    video_masked_prediction,
)
from worldmodel.training.updates import Job

FRAMES = 8
HIDDEN = 0.75
MOMENTUM = 0.998


def learner(play: Play) -> Learner:
    """Clips of eight frames: tubes of patches are hidden, or all of the later ones."""
    clips = max(2, play.moments // (FRAMES // SEEN))
    model = video_masked_prediction(play.encoder, HIDDEN, play.encoder.patches // 2)
    return masked_learner(play, model, play.drawer(clips, FRAMES), clips * FRAMES)


def masked_learner(
    play: Play, model: MaskedPrediction, draw: Callable[[], Tensor], frames: int
) -> Learner:
    """Masked prediction of what `draw` gives, `frames` frames at each step."""
    model = model.to(play.device)

    def loss() -> dict[str, Tensor]:
        clips = draw()
        terms = model.loss(clips, model.draw_masks(clips, play.generator))
        return {"total": terms.prediction, "std": terms.target_std}

    def follow() -> None:
        ema_update(model.target, model.online, MOMENTUM)

    return Learner(Job(model, loss, follow), model.target, None, frames // SEEN)
