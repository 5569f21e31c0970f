"""Two-frame clips of windows, some of which stand still, as goal pictures do."""

from __future__ import annotations

import torch
from torch import Tensor

from worldmodel.training.chance import uniform


def single_clips(frames: Tensor, stands: Tensor) -> Tensor:
    """The two-frame clip that ends at each frame, some of them standing still.

    Args:
        frames: (B, T, height, width, 3) uint8, consecutive frames.
        stands: bool (B T,), which clips repeat their own frame, see `stand_still`; the
            first frame of a window has no other choice.

    Returns:
        (B T, 2, height, width, 3).
    """
    return stilled(pairs_of(torch.cat((frames[:, :1], frames), dim=1)), stands)


def stand_still(count: int, share: float, generator: torch.Generator) -> Tensor:
    """Draws which of so many clips stand still, bool (count,), a share of them.

    Args:
        count: clips.
        share: probability of each.
        generator: source of randomness; they are on its device.
    """
    return uniform(count, generator=generator) < share


def pairs_of(frames: Tensor) -> Tensor:
    """Frames (B, T + 1, ...) -> the two-frame clips (B T, 2, ...) that end at each."""
    return torch.stack((frames[:, :-1], frames[:, 1:]), dim=2).flatten(0, 1)


def stilled(clips: Tensor, stands: Tensor) -> Tensor:
    """Clips (B, 2, ...), those of `stands` (B,) standing still at their last frame."""
    stands = stands.to(clips.device).view(-1, *(1,) * (clips.dim() - 2))
    before = torch.where(stands, clips[:, 1], clips[:, 0])
    return torch.stack((before, clips[:, 1]), dim=1)
