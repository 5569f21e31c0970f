"""I-JEPA: the latents of hidden blocks of one picture, told by the rest of it.

Assran et al. 2023, "Self-Supervised Learning from Images with a Joint-Embedding
Predictive Architecture". A picture of this backbone is a moment of two frames, so time
is neither hidden nor told. Four blocks, as in the paper, hide half of the patches.
"""

from __future__ import annotations

from torch import Tensor

from benchmarks.objectives.learner import SEEN, Learner, Play
from benchmarks.objectives.vjepa import masked_learner
from worldmodel.encoders import VideoViT
from worldmodel.training.objectives.masking import TubeMasks
from worldmodel.training.objectives.vjepa import (
    LatentPredictor,
    LatentPredictorSpec,
    MaskedPrediction,
    Objective,
)

MASKS = TubeMasks(hidden=0.5, blocks=4, aspect=(0.75, 1.5))


def learner(play: Play) -> Learner:
    """Every hidden token of a moment is asked for."""
    model = MaskedPrediction(
        VideoViT(play.encoder),
        LatentPredictor(LatentPredictorSpec(), play.encoder.dim),
        Objective(MASKS, smooth=1.0),
    )
    draw = play.drawer(play.moments)

    def moments() -> Tensor:
        return play.stilled(draw())

    return masked_learner(play, model, moments, SEEN * play.moments)
