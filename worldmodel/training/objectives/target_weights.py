"""Where in a clip something happens: weights for drawing prediction targets."""

from __future__ import annotations

from torch import Tensor

from worldmodel.encoders.patches import patchify


def motion(frames: Tensor, patch: int, tubelet: int) -> Tensor:
    """How much each token's patch moves in its clip, in [0, 1].

    Args:
        frames: (B, T, height, width, 3) uint8, or floating point in [0, 255].
        patch: pixels per side of a patch.
        tubelet: frames per tubelet.

    Returns:
        (B, tokens): mean absolute difference to the clip's mean frame. 0 in a still
        clip.
    """
    pixels = frames.float()
    return _patch_mean((pixels - pixels.mean(1, keepdim=True)).abs(), patch, tubelet)


def _patch_mean(difference: Tensor, patch: int, tubelet: int) -> Tensor:
    return patchify(difference, patch, tubelet).mean(dim=(2, 3)) / 255.0
