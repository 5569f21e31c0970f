"""Stage three: the predictor, on frozen latents."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from worldmodel.errors import WorldModelError
from worldmodel.predictors import ActionPredictor, ActionPredictorSpec
from worldmodel.predictors.objective import forced_error, rolled_error, some_known
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.loop import Job, OnStep, Schedule, fit


@dataclass(frozen=True)
class PredictorRecipe:
    """How the predictor is trained.

    Attributes:
        schedule: steps and learning rate.
        spec: architecture.
        windows: windows of play per step.
        window: moments T of a window; roll-outs reach T - 1 steps.
        huber: error of prediction above which it counts linearly; None for never.
        seed: decides weights and batches.
    """

    schedule: Schedule
    spec: ActionPredictorSpec = field(default_factory=ActionPredictorSpec)
    windows: int = 128
    window: int = 8
    huber: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.window < 2:
            raise ValueError(f"window must be at least 2 moments, got {self.window}")
        if self.windows < 1:
            raise ValueError(f"windows must be at least 1, got {self.windows}")
        if self.huber is not None and not self.huber > 0:
            raise ValueError(f"huber must be above 0 or None, got {self.huber}")


def train_predictor(
    recipe: PredictorRecipe,
    data: LatentEpisodes,
    actions: Tensor,
    state_path: Path | None = None,
    on_step: OnStep | None = None,
) -> ActionPredictor:
    """Learns one-step predictions and roll-outs; resumes from `state_path`.

    Args:
        recipe: architecture and schedule.
        data: latents of the training episodes; they stay as they are.
        actions: (N, A) of all rows.
        state_path: where the state of the training is kept.
        on_step: called with the steps done and the smoothed loss terms.

    Raises:
        WorldModelError: no episode is as long as a window.
    """
    torch.manual_seed(recipe.seed)
    predictor = ActionPredictor(recipe.spec).to(data.latents.device)
    generator = torch.Generator().manual_seed(recipe.seed)
    begins = data.rows[data.last[data.rows] - data.rows >= recipe.window - 1]
    if len(begins) == 0:
        raise WorldModelError(
            f"predictor.window is {recipe.window} moments, but no episode for training "
            "is as long; choose a smaller one"
        )

    def loss() -> dict[str, Tensor]:
        drawn = torch.randint(len(begins), (recipe.windows,), generator=generator)
        rows = begins[drawn][:, None] + torch.arange(recipe.window)
        latents = data.latents[rows]
        taken = actions[rows].to(latents)
        known = some_known(predictor, recipe.window, generator)
        forced = forced_error(predictor, latents, taken, recipe.huber)
        rolled = rolled_error(predictor, latents, taken, known, recipe.huber)
        return {"total": 0.5 * (forced + rolled), "forced": forced, "rolled": rolled}

    fit(Job(predictor, loss, generator), recipe.schedule, state_path, on_step)
    return predictor
