"""Which tokens of a clip the encoder sees, and which it must predict.

A clip's tokens are numbered (time, height, width). Every mask of a batch has the
same number of context tokens K and of targets M, so that a batch is one tensor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from worldmodel.encoders.rope import Grid


@dataclass(frozen=True)
class Masks:
    """Token indices, ascending and disjoint: context (B, K) and target (B, M)."""

    context: Tensor
    target: Tensor

    def expand(self, batch: int) -> Masks:
        """Repeats the masks of one clip for a whole batch."""
        return Masks(self.context.expand(batch, -1), self.target.expand(batch, -1))


class MaskSampler(Protocol):
    """Draws masks; `weights` (B, tokens) >= 0 say where targets are worth more."""

    def fits(self, grid: Grid) -> bool:
        """Whether clips of this grid can be masked."""
        ...

    def pick(self, grid: Grid, generator: torch.Generator) -> MaskSampler:
        """The sampler of one batch; a GPU waits unless the generator is on the CPU."""
        ...

    def sample(
        self,
        batch: int,
        grid: Grid,
        generator: torch.Generator,
        weights: Tensor | None = None,
    ) -> Masks:
        """Draws masks for a batch of clips."""
        ...


@dataclass(frozen=True)
class TubeMasks:
    """Hides blocks of patches through all tubelets of the clip (multi-block tubes).

    Blocks of random place and aspect ratio are scaled by one common factor until they
    cover exactly `hidden` of the patches. The context is everything else.

    Attributes:
        hidden: fraction of the patches that is hidden, in (0, 1).
        blocks: blocks per clip.
        aspect: least and greatest height / width of a block.
        targets: number of hidden tokens to predict, drawn by the weights; all if None.
    """

    hidden: float = 0.6
    blocks: int = 2
    aspect: tuple[float, float] = (0.5, 2.0)
    targets: int | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.hidden < 1.0:
            raise ValueError(f"hidden must be in (0, 1), got {self.hidden}")
        if self.blocks < 1:
            raise ValueError(f"blocks must be at least 1, got {self.blocks}")
        if not 0.0 < self.aspect[0] <= self.aspect[1]:
            raise ValueError(f"aspect must be 0 < least <= greatest, got {self.aspect}")

    def fits(self, grid: Grid) -> bool:
        """Whether the grid has a patch to hide and one to show."""
        return grid.patches > 1

    def pick(self, grid: Grid, generator: torch.Generator) -> TubeMasks:
        """Always this one."""
        del grid, generator
        return self

    def sample(
        self,
        batch: int,
        grid: Grid,
        generator: torch.Generator,
        weights: Tensor | None = None,
    ) -> Masks:
        """Draws masks for a batch; `weights` also draw the blocks toward them."""
        weights = _row_weights(weights, batch, grid, generator.device)
        count = min(max(round(self.hidden * grid.patches), 1), grid.patches - 1)
        centre_weights = weights.view(batch, grid.time, grid.patches).sum(1)
        order = self._distance(grid, generator, centre_weights).argsort(dim=1)
        context = _tubes(order[:, count:], grid)
        hidden = _tubes(order[:, :count], grid)
        target = choose(hidden, weights, self.targets, generator)
        return Masks(context, target)

    def _distance(
        self, grid: Grid, generator: torch.Generator, weights: Tensor
    ) -> Tensor:
        """Distance (rows, patches) to the nearest block, in units of its size."""
        rows, device = weights.shape[0], generator.device
        low, high = (math.log(ratio) for ratio in self.aspect)
        shape = (rows, self.blocks)
        uniform = torch.rand(shape, generator=generator, device=device)
        root = (0.5 * (low + (high - low) * uniform)).exp()  # sqrt(height / width)
        centres = torch.multinomial(
            weights, self.blocks, replacement=True, generator=generator
        )
        patch = torch.arange(grid.patches, device=device)
        row_gap = patch // grid.width - (centres // grid.width)[..., None]
        column_gap = patch % grid.width - (centres % grid.width)[..., None]
        distance = torch.maximum(
            row_gap.abs() / root[..., None], column_gap.abs() * root[..., None]
        )
        ties = torch.rand((rows, grid.patches), generator=generator, device=device)
        return distance.amin(1) + 1e-3 * ties


@dataclass(frozen=True)
class LaterMasks:
    """Shows the first tubelets whole and asks for tokens of the later ones.

    Attributes:
        seen: tubelets in the context.
        targets: number of later tokens to predict, drawn by the weights; all if None.
    """

    seen: int = 1
    targets: int | None = None

    def __post_init__(self) -> None:
        if self.seen < 1:
            raise ValueError(f"seen must be at least 1, got {self.seen}")

    def fits(self, grid: Grid) -> bool:
        """Whether clips have more than `seen` tubelets."""
        return grid.time > self.seen

    def pick(self, grid: Grid, generator: torch.Generator) -> LaterMasks:
        """Always this one."""
        del grid, generator
        return self

    def sample(
        self,
        batch: int,
        grid: Grid,
        generator: torch.Generator,
        weights: Tensor | None = None,
    ) -> Masks:
        """Draws masks for a batch of clips with more than `seen` tubelets."""
        if not self.fits(grid):
            raise ValueError(
                f"clips must have more than seen={self.seen} tubelets, got {grid.time}"
            )
        device = generator.device
        weights = _row_weights(weights, batch, grid, device)
        tokens = torch.arange(grid.tokens, device=device).expand(batch, -1)
        split = self.seen * grid.patches
        target = choose(tokens[:, split:], weights, self.targets, generator)
        return Masks(tokens[:, :split], target)


@dataclass(frozen=True)
class MixedMasks:
    """Draws one of several samplers per batch, among those that fit its clips.

    Attributes:
        samplers: the samplers.
        weights: relative frequency of each, positive.
    """

    samplers: tuple[MaskSampler, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.samplers) != len(self.weights) or min(self.weights, default=0) <= 0:
            raise ValueError(
                f"weights must be one positive number for each of "
                f"{len(self.samplers)} samplers, got {self.weights}"
            )

    def fits(self, grid: Grid) -> bool:
        """Whether any sampler fits."""
        return any(sampler.fits(grid) for sampler in self.samplers)

    def sample(
        self,
        batch: int,
        grid: Grid,
        generator: torch.Generator,
        weights: Tensor | None = None,
    ) -> Masks:
        """Draws masks for a batch with one of the samplers that fit."""
        return self.pick(grid, generator).sample(batch, grid, generator, weights)

    def pick(self, grid: Grid, generator: torch.Generator) -> MaskSampler:
        """Draws one of the samplers that fit."""
        if not self.fits(grid):
            raise ValueError(f"no mask sampler fits clips of {grid}")
        chance = torch.tensor(
            [
                weight if sampler.fits(grid) else 0.0
                for sampler, weight in zip(self.samplers, self.weights, strict=True)
            ],
            device=generator.device,
        )
        return self.samplers[int(torch.multinomial(chance, 1, generator=generator))]


def choose(
    candidates: Tensor, weights: Tensor, count: int | None, generator: torch.Generator
) -> Tensor:
    """Draws `count` of the candidates without replacement, by weight.

    Args:
        candidates: (B, C) token indices.
        weights: (B, tokens), not negative; tokens of weight 0 come last.
        count: how many, at most C; all if None.
        generator: source of randomness.

    Returns:
        (B, count) token indices, ascending (Gumbel top-k, Kool et al. 2019).
    """
    if count is None:
        return candidates.sort(dim=1).values
    if not 1 <= count <= candidates.shape[1]:
        raise ValueError(
            f"targets must be in [1, hidden tokens={candidates.shape[1]}], got {count}"
        )
    uniform = torch.rand(
        candidates.shape, generator=generator, device=candidates.device
    )
    gumbel = -(-uniform.clamp(1e-9, 1 - 1e-7).log()).log()
    floor = torch.finfo(torch.float32).tiny  # below any weight, still ordered by noise
    score = weights.gather(1, candidates).float().clamp(min=floor).log() + gumbel
    chosen = score.topk(count, dim=1).indices
    return candidates.gather(1, chosen).sort(dim=1).values


def _tubes(patches: Tensor, grid: Grid) -> Tensor:
    """Tokens (rows, time * n), ascending, of patches (rows, n) in every tubelet."""
    offsets = torch.arange(grid.time, device=patches.device) * grid.patches
    patches = patches.sort(dim=1).values
    return (offsets[:, None] + patches[:, None, :]).flatten(1)


def _row_weights(
    weights: Tensor | None, batch: int, grid: Grid, device: torch.device
) -> Tensor:
    """Weights (B, tokens), uniform if None."""
    if weights is None:
        return torch.ones(batch, grid.tokens, device=device)
    if tuple(weights.shape) != (batch, grid.tokens):
        raise ValueError(
            f"weights must be (B={batch}, tokens={grid.tokens}), "
            f"got {tuple(weights.shape)}"
        )
    weights = weights.to(device)
    looked_at = device.type == "cpu"  # a GPU would have to wait for it
    if looked_at and not bool(((weights >= 0) & weights.isfinite()).all()):
        raise ValueError("weights must be finite and not negative")
    dead = weights.sum(1, keepdim=True) <= 0  # a clip of weight 0 is drawn uniformly
    return weights + dead
