"""Stage 2: the projector, from frozen tokens to planning latents."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from worldmodel.data import Windows
from worldmodel.projectors.projector import Projector, ProjectorSpec
from worldmodel.training.loop import Job, OnStep, Schedule, autocast, fit
from worldmodel.training.objectives.action_conditioned import (
    Experience,
    LatentObjectives,
    ObjectiveWeights,
)
from worldmodel.training.proprio import standardised_proprio, training_rows
from worldmodel.training.readouts import least_squares
from worldmodel.training.tokens import TokenCache

_READ = 8192  # moments that first read-outs are fitted to


@dataclass(frozen=True)
class ProjectorRecipe:
    """How the projector is trained.

    Attributes:
        schedule: steps and learning rate.
        spec: architecture of the projector.
        weights: of the loss terms.
        pairs: pairs of windows per step, both of one episode.
        window: frames T of a window;
        proprio: leading dimensions of proprio that the latents shall tell.
        seed: decides weights and batches.
    """

    schedule: Schedule
    spec: ProjectorSpec = field(default_factory=ProjectorSpec)
    weights: ObjectiveWeights = field(default_factory=ObjectiveWeights)
    pairs: int = 64
    window: int = 8
    proprio: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.window < 2:
            raise ValueError(f"window must be at least 2 frames, got {self.window}")
        if self.pairs < 1:
            raise ValueError(f"pairs must be at least 1, got {self.pairs}")


@dataclass(frozen=True)
class Targets:
    """What latents shall tell of the pictures, at all rows.

    Attributes:
        blobs: (N, K, 4) of `blob_targets`; K may be 0.
        object_positions: (N, J, 4) of `object_position_targets`; J may be 0.
    """

    blobs: Tensor
    object_positions: Tensor


def train_projector(
    recipe: ProjectorRecipe,
    cache: TokenCache,
    targets: Targets,
    device: torch.device,
    state_path: Path | None = None,
    on_step: OnStep | None = None,
    begin: Projector | None = None,
) -> LatentObjectives:
    """Trains the projector; resumes from `state_path` where it exists.

    Only the training split is used. Arguments as in `pretrain`, but for what latents
    shall tell, and `begin`, a projector to begin with.
    """
    torch.manual_seed(recipe.seed)
    model = LatentObjectives(
        recipe.spec,
        None,
        recipe.weights,
        recipe.proprio,
        targets.blobs.shape[1],
        targets.object_positions.shape[1],
    ).to(device)
    proprio = standardised_proprio(cache.frames, recipe.proprio)
    if begin is not None:
        model.projector.load_state_dict(begin.state_dict())
        _read_out(model, cache, proprio, targets)
    generator = torch.Generator().manual_seed(recipe.seed)
    windows = Windows(cache.frames, "train", recipe.window)

    def loss() -> dict[str, Tensor]:
        numbers = windows.draw_pairs(recipe.pairs, generator)
        rows, actions, episodes = windows.rows_at(numbers)
        tokens = cache.at(rows).to(device).float()
        batch = Experience(
            actions.to(device),
            proprio[rows].to(device),
            targets.blobs[rows].to(device),
            targets.object_positions[rows].to(device),
            episodes.to(device),
        )
        with autocast(device):
            return model.loss(tokens, batch, generator)

    fit(Job(model, loss, generator), recipe.schedule, state_path, on_step)
    return model


@torch.no_grad()
def _read_out(
    model: LatentObjectives,
    cache: TokenCache,
    proprio: Tensor,
    targets: Targets,
) -> None:
    """Fits the linear read-outs to a projector that has learned already.

    Fresh ones would spoil it before they have learned to read it.
    """
    generator = torch.Generator().manual_seed(0)
    trained = training_rows(cache.frames).nonzero().flatten()
    rows = trained[torch.randperm(len(trained), generator=generator)[:_READ]]
    device = next(model.parameters()).device
    latents = model.projector(cache.at(rows).to(device).float()).float().cpu()
    ones = torch.ones(len(rows))
    if model.proprio is not None:
        _set(model.proprio, [least_squares(latents, proprio[rows], ones)])
    for head, told in (
        (model.blobs, targets.blobs),
        (model.object_positions, targets.object_positions),
    ):
        if head is not None:
            read = [
                least_squares(latents, one[:, :3], one[:, 3])
                for one in told[rows].unbind(1)
            ]
            _set(head, read)


def _set(head: nn.Linear, read: list[nn.Linear]) -> None:
    """Makes one read-out of several, one below the other."""
    head.weight.copy_(torch.cat([one.weight for one in read]))
    head.bias.copy_(torch.cat([one.bias for one in read]))
