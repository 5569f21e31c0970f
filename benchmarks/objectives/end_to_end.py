"""End to end: the encoder learns with the predictor and the goal distance it serves.

Latents are predicted from earlier ones and actions, with SIGReg (LeWorldModel, Maes et
al. 2026), and tell how long play would take to a goal, a value learned from hindsight
(HIQL, Park et al. 2023); that a world model and a value shape one latent space is from
TD-MPC2 (Hansen et al. 2024). No gradient goes through the targets of the value.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from benchmarks.objectives.learner import Learner, Play
from benchmarks.objectives.video_jepa import PREDICTION
from worldmodel.costs.goal_projection import GoalProjectionSpec
from worldmodel.training.distance import (
    DistanceLearner,
    DistanceRecipe,
    distance_job,
)
from worldmodel.training.jepa import JEPARecipe, jepa_job
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.loop import Schedule
from worldmodel.training.objectives.video_jepa import VideoJEPA, VideoJEPASpec
from worldmodel.training.updates import Job

WEIGHT = 0.01  # of the distance, whose squares are of steps
ENCODED = 3  # moments for a pair: now, its goal, some steps later


class LiveLatents:
    """Latents of rows of play, encoded when they are asked for, with gradients."""

    def __init__(self, play: Play, model: VideoJEPA, first: Tensor) -> None:
        self.play, self.model, self.first = play, model, first

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Latents (N, D) of rows (N,)."""
        before = torch.maximum(rows - 1, self.first[rows])
        clips = self.play.cache.frames_at(torch.stack((before, rows), dim=1))
        return self.model.encode(self.play.stilled(clips).to(self.play.device))


def learner(play: Play) -> Learner:
    """Half of the moments for the prediction, half for the distance."""
    spec = VideoJEPASpec(play.encoder, PREDICTION, still=play.still)
    recipe = JEPARecipe(spec, Schedule(1))
    windows = max(2, play.moments // 2 // recipe.window)
    recipe = JEPARecipe(spec, recipe.schedule, windows=windows)
    model, jepa = jepa_job(recipe, play.cache, play.device, play.generator)
    pairs = max(2, (play.moments - windows * recipe.window) // ENCODED)
    told = DistanceRecipe(batch=pairs)
    network = DistanceLearner(told.spec(GoalProjectionSpec(spec.latent_dim)), None)
    network = network.to(play.device)
    data = LatentEpisodes.of(torch.empty(len(play.cache.actions), 0), play.cache)
    live = cast(Tensor, LiveLatents(play, model, data.first))  # it is only indexed
    data = LatentEpisodes(live, data.first, data.last, data.rows)
    distance = distance_job(told, network, data, play.generator)

    def loss() -> dict[str, Tensor]:
        terms, value = jepa.terms(jepa.fresh()), distance.terms(distance.fresh())
        total = terms["total"] + WEIGHT * value["total"]
        return {**terms, "total": total, "distance": value["total"]}

    def follow() -> None:
        for job in (jepa, distance):
            if job.after_step is not None:
                job.after_step()

    job = Job(nn.ModuleList((model, network)), loss, follow)
    encoded = windows * recipe.window + ENCODED * pairs
    return Learner(job, model.encoder, model.projector, encoded)
