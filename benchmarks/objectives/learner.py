"""What every objective is made from, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.data import FrameCache, Windows
from worldmodel.encoders import VideoViT, VideoViTSpec
from worldmodel.projectors.projector import Projector
from worldmodel.training.augment import Augment
from worldmodel.training.objectives.clips import stand_still, stilled
from worldmodel.training.updates import Job

SEEN = 2  # frames of a moment


@dataclass(frozen=True, eq=False)
class Play:
    """Recorded play, as an objective draws from it.

    A moment is a clip of two frames, as planning sees it; a share of them stands still,
    as goal pictures do. Only the training split is drawn from.

    Attributes:
        cache: the decoded dataset.
        encoder: architecture of the backbone.
        generator: the only source of randomness of batches, on the CPU.
        device: computes.
        moments: that a step shall encode, about.
        still: share of moments that stand still.
    """

    cache: FrameCache
    encoder: VideoViTSpec
    generator: torch.Generator
    device: torch.device
    moments: int = 256
    still: float = 0.3

    def drawer(self, count: int, frames: int = SEEN) -> Callable[[], Tensor]:
        """Draws `count` clips uint8 (count, frames, height, width, 3) at each call."""
        windows = Windows(self.cache, "train", frames)

        def draw() -> Tensor:
            return windows.sample(count, self.generator).frames.to(self.device)

        return draw

    def stilled(self, clips: Tensor) -> Tensor:
        """Moments (B, 2, ...), a share of which stands still now."""
        return stilled(clips, stand_still(len(clips), self.still, self.generator))

    def views(self, moments: Tensor) -> Tensor:
        """Moments (B, 2, ...) in another light and moved by up to a twelfth, at random.

        Both frames of a moment change alike.
        """
        change = Augment(colour=0.8, shift=1.0, pixels=self.encoder.height // 12)
        rows = torch.arange(2 * len(moments)).view(-1, 2)
        changes = change.draw(len(moments), self.generator)
        return changes.gather(moments.flatten(0, 1), rows)

    def pairs(self, moments: Tensor) -> Tensor:
        """Two views of each of B moments, (2 B, 2, ...): one of all, then the other."""
        return torch.cat((self.views(moments), self.views(moments)))


@dataclass(frozen=True, eq=False)
class Learner:
    """An objective about to learn.

    Attributes:
        job: the module, its loss on a fresh batch, and what follows a step.
        encoder: the one to keep.
        projector: what latents to plan in are read by, where the objective makes them
            predictable by actions; None where a general one is to be trained.
        moments: two-frame clips that a step encodes, by any encoder, whole or in part.
    """

    job: Job
    encoder: VideoViT
    projector: Projector | None
    moments: int


def spread(latents: Tensor) -> Tensor:
    """Standard deviation over a batch (..., n, D), its mean: 0 in a collapse."""
    return latents.detach().float().std(-2).mean()
