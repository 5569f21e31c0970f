"""Stage 2: the compressor, from frozen tokens to planning latents."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from worldmodel.data import Windows
from worldmodel.projectors.projector import Compressor, CompressorSpec
from worldmodel.training.loop import Job, OnStep, Schedule, autocast, fit
from worldmodel.training.objectives.action_conditioned import (
    DynamicsWeights,
    Experience,
    LatentDynamics,
)
from worldmodel.training.proprio import standardised_proprio, training_rows
from worldmodel.training.readouts import least_squares
from worldmodel.training.tokens import TokenCache

_READ = 8192  # moments that first read-outs are fitted to


@dataclass(frozen=True)
class DynamicsRecipe:
    """How the compressor is trained.

    Attributes:
        schedule: steps and learning rate.
        compressor: architecture.
        weights: of the loss terms.
        pairs: pairs of windows per step, both of one episode.
        window: frames T of a window;
        proprio: leading dimensions of proprio that the latents shall tell.
        seed: decides weights and batches.
    """

    schedule: Schedule
    compressor: CompressorSpec = field(default_factory=CompressorSpec)
    weights: DynamicsWeights = field(default_factory=DynamicsWeights)
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
        words: (N, K, 4) of `word_targets`; K may be 0.
        places: (N, J, 4) of `place_targets`; J may be 0.
    """

    words: Tensor
    places: Tensor


def train_dynamics(
    recipe: DynamicsRecipe,
    cache: TokenCache,
    targets: Targets,
    device: torch.device,
    state_path: Path | None = None,
    on_step: OnStep | None = None,
    begin: Compressor | None = None,
) -> LatentDynamics:
    """Trains the compressor; resumes from `state_path` where it exists.

    Only the training split is used. Arguments as in `pretrain`, but for what latents
    shall tell, and `begin`, a compressor to begin with.
    """
    torch.manual_seed(recipe.seed)
    model = LatentDynamics(
        recipe.compressor,
        None,
        recipe.weights,
        recipe.proprio,
        targets.words.shape[1],
        targets.places.shape[1],
    ).to(device)
    proprio = standardised_proprio(cache.frames, recipe.proprio)
    if begin is not None:
        model.compressor.load_state_dict(begin.state_dict())
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
            targets.words[rows].to(device),
            targets.places[rows].to(device),
            episodes.to(device),
        )
        with autocast(device):
            return model.loss(tokens, batch, generator)

    fit(Job(model, loss, generator), recipe.schedule, state_path, on_step)
    return model


@torch.no_grad()
def _read_out(
    model: LatentDynamics,
    cache: TokenCache,
    proprio: Tensor,
    targets: Targets,
) -> None:
    """Fits the linear read-outs to a compressor that has learned already.

    Fresh ones would spoil it before they have learned to read it.
    """
    generator = torch.Generator().manual_seed(0)
    trained = training_rows(cache.frames).nonzero().flatten()
    rows = trained[torch.randperm(len(trained), generator=generator)[:_READ]]
    device = next(model.parameters()).device
    latents = model.compressor(cache.at(rows).to(device).float()).float().cpu()
    ones = torch.ones(len(rows))
    if model.proprio is not None:
        _set(model.proprio, [least_squares(latents, proprio[rows], ones)])
    for head, told in ((model.words, targets.words), (model.places, targets.places)):
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
