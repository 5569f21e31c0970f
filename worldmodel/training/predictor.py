"""Stage 3: the predictor, on frozen latents."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from worldmodel.errors import WorldModelError
from worldmodel.predictors import ActionPredictor, ActionPredictorSpec
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.loop import Job, OnStep, Schedule, fit
from worldmodel.training.objectives.action_conditioned import (
    forced_change,
    prediction_error,
    rolled_change,
    some_known,
)


@dataclass(frozen=True)
class PredictorRecipe:
    """How the predictor is trained.

    Attributes:
        schedule: steps and learning rate.
        spec: architecture.
        windows: windows of play per step.
        window: moments T of a window; roll-outs reach T - 1 steps.
        huber: error of prediction above which it counts linearly; None for never.
        task_weight: weight of the error along what is looked at, beside that of the
            latents: most directions of a latent do not matter to a plan.
        seed: decides weights and batches.
    """

    schedule: Schedule
    spec: ActionPredictorSpec = field(default_factory=ActionPredictorSpec)
    windows: int = 128
    window: int = 8
    huber: float | None = None
    task_weight: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.task_weight >= 0:
            raise ValueError(f"task_weight must be at least 0, got {self.task_weight}")
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
    directions: Tensor | None = None,
) -> ActionPredictor:
    """Learns one-step predictions and roll-outs; resumes from `state_path`.

    Args:
        recipe: architecture and schedule.
        data: latents of the training episodes; they stay as they are.
        actions: (N, A) of all rows.
        state_path: where the state of the training is kept.
        on_step: called with the steps done and the smoothed loss terms.
        directions: (R, D) of latents that are looked at, for `recipe.task_weight`.

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
        forced = forced_change(predictor, latents, taken)
        rolled = rolled_change(predictor, latents, taken, known)
        terms = {
            "forced": prediction_error(forced, recipe.huber),
            "rolled": prediction_error(rolled, recipe.huber),
        }
        if directions is not None and recipe.task_weight:
            seen = torch.cat((forced, rolled), dim=1) @ directions.T
            terms["task"] = prediction_error(seen, recipe.huber)
        weights = {"forced": 0.5, "rolled": 0.5, "task": recipe.task_weight}
        total = torch.stack([weights[name] * term for name, term in terms.items()])
        return {"total": total.sum(), **terms}

    fit(Job(predictor, loss, generator), recipe.schedule, state_path, on_step)
    return predictor
