"""Stage 2: the projector, from frozen tokens to planning latents."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.data import Windows
from worldmodel.training.loop import Schedule
from worldmodel.training.objectives.projection import (
    Experience,
    ProjectorObjectives,
    ProjectorWeights,
)
from worldmodel.training.tokens import TokenCache
from worldmodel.training.updates import Job

# What needs nothing but frames and actions.
FRAMES_AND_ACTIONS = ProjectorWeights(inverse=1.0, contrast=0.1, sigreg=0.01)


@dataclass(frozen=True)
class ProjectorRecipe:
    """How the projector is trained.

    Attributes:
        schedule: steps and learning rate.
        weights: of the loss terms.
        dim: width D of a latent.
        pairs: pairs of windows per step, both of one episode.
        window: frames T of a window.
    """

    schedule: Schedule
    weights: ProjectorWeights = FRAMES_AND_ACTIONS
    dim: int = 64
    pairs: int = 128
    window: int = 3

    def __post_init__(self) -> None:
        if self.window < 2:
            raise ValueError(f"window must be at least 2 frames, got {self.window}")
        if self.pairs < 1:
            raise ValueError(f"pairs must be at least 1, got {self.pairs}")


@dataclass(frozen=True)
class Targets:
    """What latents shall tell of the pictures, at all rows.

    Attributes:
        proprio: (N, S) standardised; S may be 0.
        blobs: (N, K, 4) of `blob_targets`; K may be 0.
        object_positions: (N, J, 4) of `object_position_targets`; J may be 0.
    """

    proprio: Tensor
    blobs: Tensor
    object_positions: Tensor


def projector_job(
    recipe: ProjectorRecipe,
    model: ProjectorObjectives,
    cache: TokenCache,
    targets: Targets,
    generator: torch.Generator,
) -> Job:
    """Learns latents that tell what they shall; on the training split alone.

    Args:
        recipe: how.
        model: the projector and its objectives; learns, in place.
        cache: tokens of play.
        targets: what latents shall tell.
        generator: source of randomness.
    """
    device = next(model.parameters()).device
    windows = Windows(cache.frames, "train", recipe.window)

    def loss() -> dict[str, Tensor]:
        numbers = windows.draw_pairs(recipe.pairs, generator)
        rows, actions, episodes = windows.rows_at(numbers)
        tokens = cache.at(rows).to(device).float()
        batch = Experience(
            actions.to(device),
            targets.proprio[rows].to(device),
            targets.blobs[rows].to(device),
            targets.object_positions[rows].to(device),
            episodes.to(device),
        )
        return model.loss(tokens, batch, generator)

    return Job(model, loss)
