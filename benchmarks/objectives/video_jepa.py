"""The video JEPA of `worldmodel pretrain`, whole, and its prediction of latents alone.

Action-conditioned prediction of one latent per moment with SIGReg against the collapse:
LeWorldModel (Maes et al. 2026), LeJEPA (Balestriero & LeCun 2025). The whole one also
predicts hidden tokens (V-JEPA 2, Assran et al. 2025) and tells moments apart over time
(Eysenbach et al. 2022). No proprio: the other objectives have none either.
"""

from __future__ import annotations

from benchmarks.objectives.learner import Learner, Play
from worldmodel.training.jepa import JEPARecipe, jepa_job
from worldmodel.training.loop import Schedule
from worldmodel.training.objectives.video_jepa import JEPAWeights, VideoJEPASpec

PREDICTION = JEPAWeights(masked=0.0, contrast=0.0, proprio=0.0)
WHOLE = JEPAWeights(proprio=0.0)


def learner(play: Play) -> Learner:
    """All of its terms."""
    return _learner(play, WHOLE)


def action(play: Play) -> Learner:
    """Prediction by actions and SIGReg."""
    return _learner(play, PREDICTION)


def _learner(play: Play, weights: JEPAWeights) -> Learner:
    spec = VideoJEPASpec(
        play.encoder, weights, targets=play.encoder.patches // 2, still=play.still
    )
    recipe = JEPARecipe(spec, Schedule(1))
    each = recipe.window + bool(weights.contrast)  # with the later moment
    masked = recipe.clips * recipe.clip_frames // 2 if weights.masked else 0
    windows = max(2, (play.moments - masked) // each)
    recipe = JEPARecipe(spec, recipe.schedule, windows=windows)
    model, job = jepa_job(recipe, play.cache, play.device, play.generator)
    return Learner(job, model.encoder, model.projector, windows * each + masked)
