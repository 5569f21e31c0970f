"""Stage 3: the predictor, on frozen latents."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.errors import WorldModelError
from worldmodel.predictors import ActionPredictor, ActionPredictorSpec
from worldmodel.training.chance import on_device, some_of
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.objectives.action_conditioned import (
    draw_known,
    prediction_error,
)
from worldmodel.training.updates import Job


@dataclass(frozen=True)
class PredictorRecipe:
    """How the predictor is trained.

    Attributes:
        windows: windows of play per step.
        window: moments T of a window; roll-outs reach T - 1 steps.
        width: of the transformer.
        depth: its blocks.
    """

    windows: int = 128
    window: int = 8
    width: int = 192
    depth: int = 2

    def __post_init__(self) -> None:
        if self.window < 2:
            raise ValueError(f"window must be at least 2 moments, got {self.window}")
        if self.windows < 1:
            raise ValueError(f"windows must be at least 1, got {self.windows}")

    def spec(self, latent_dim: int, action_size: int) -> ActionPredictorSpec:
        """Architecture between latents (D) and actions (A)."""
        return ActionPredictorSpec(
            latent_dim, action_size, width=self.width, depth=self.depth
        )


def predictor_job(
    recipe: PredictorRecipe,
    predictor: ActionPredictor,
    data: LatentEpisodes,
    actions: Tensor,
    generator: torch.Generator,
) -> Job:
    """Learns one-step predictions and roll-outs.

    Args:
        recipe: how.
        predictor: learns, in place.
        data: latents of the training episodes; they stay as they are.
        actions: (N, A) of all rows.
        generator: source of randomness.

    Raises:
        WorldModelError: no episode is as long as a window.
    """
    begins = data.rows[data.last[data.rows] - data.rows >= recipe.window - 1]
    if len(begins) == 0:
        raise WorldModelError(
            f"predictor.window is {recipe.window} moments, but no episode for training "
            "is as long; choose a smaller one"
        )

    steps = torch.arange(recipe.window, device=begins.device)
    actions = actions.to(data.latents)

    def draw() -> tuple[Tensor, int]:
        rows = some_of(begins, recipe.windows, on_device(generator, begins.device))
        return rows, draw_known(predictor, recipe.window, generator)

    def loss(drawn: tuple[Tensor, int]) -> dict[str, Tensor]:
        rows = drawn[0][:, None] + steps
        latents, taken = data.latents[rows], actions[rows]
        return {"total": prediction_error(predictor, latents, taken, drawn[1])}

    return Job(predictor, loss, draw=draw)
