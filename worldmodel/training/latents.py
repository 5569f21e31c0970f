"""The latents of recorded play, which everything after the projector learns from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from worldmodel.data import FrameCache
from worldmodel.projectors.projector import Projector
from worldmodel.projectors.proprio_correction import ProprioCorrection
from worldmodel.training.chance import some_of
from worldmodel.training.proprio import training_rows
from worldmodel.training.tokens import TokenCache

MOST_NUMBERS = 2**26  # of tokens that are compressed at once, 256 MiB


@dataclass(frozen=True, eq=False)
class LatentEpisodes:
    """Latents of the training episodes.

    Attributes:
        latents: (N, D) all rows.
        first: (N,) row where the episode of each row begins.
        last: (N,) its last row.
        rows: (M,) rows of the training split that have a next one; one that counts
            more stands here more often.
    """

    latents: Tensor
    first: Tensor
    last: Tensor
    rows: Tensor

    @classmethod
    def of(cls, latents: Tensor, frames: FrameCache) -> LatentEpisodes:
        """Latents (N, D) of all rows of a dataset, with its episodes and split."""
        offsets = torch.from_numpy(frames.offsets)
        lengths = offsets[1:] - offsets[:-1]
        first = offsets[:-1].repeat_interleave(lengths)
        last = (offsets[1:] - 1).repeat_interleave(lengths)
        rows = torch.arange(len(first))
        usable = training_rows(frames) & (rows < last)
        return cls(latents, first, last, rows[usable])

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Rows (count,) of the training split that have a next one."""
        return some_of(self.rows, count, generator)

    def to(self, device: torch.device) -> LatentEpisodes:
        """The same episodes, on a device."""
        parts = (self.latents, self.first, self.last, self.rows)
        return LatentEpisodes(*(part.to(device) for part in parts))


def joined(
    play: LatentEpisodes, practice: LatentEpisodes, weight: int
) -> LatentEpisodes:
    """Both, one after the other; practice is drawn `weight` times as often."""
    after = len(play.latents)
    return LatentEpisodes(
        torch.cat((play.latents, practice.latents)),
        torch.cat((play.first, practice.first + after)),
        torch.cat((play.last, practice.last + after)),
        torch.cat((play.rows, (practice.rows + after).repeat(weight))),
    )


def one_step(data: LatentEpisodes) -> float:
    """Root mean squared change of latents from one step of play to the next."""
    change = data.latents[data.rows + 1] - data.latents[data.rows]
    return change.square().mean().sqrt().item()


@torch.no_grad()
def latent_episodes(
    projector: Projector, cache: TokenCache, chunk: int = 4096
) -> LatentEpisodes:
    """Compresses every frame's tokens, on the projector's device."""
    device = next(projector.parameters()).device
    chunk = max(1, min(chunk, MOST_NUMBERS // cache.tokens[0].size))
    parts = []
    for start in range(0, len(cache.tokens), chunk):
        rows = torch.arange(start, min(start + chunk, len(cache.tokens)))
        parts.append(projector(cache.at(rows).to(device).float()))
    return LatentEpisodes.of(torch.cat(parts), cache.frames)


@torch.no_grad()
def proprio_corrected(
    data: LatentEpisodes, proprio_correction: ProprioCorrection, frames: FrameCache
) -> LatentEpisodes:
    """The same episodes, their latents corrected by the recorded proprio."""
    proprio = torch.from_numpy(frames.proprio).float().to(data.latents)
    return replace(
        data, latents=proprio_correction.to(proprio.device)(data.latents, proprio)
    )
