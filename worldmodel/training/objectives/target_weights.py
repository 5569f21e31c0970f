"""Where in a clip something happens: weights for drawing prediction targets."""

from __future__ import annotations

from torch import Tensor

from worldmodel.encoders.patches import patchify

BACKGROUND_CLIPS = 16  # enough for a median, and four times faster than all of 64


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


def novelty(frames: Tensor, patch: int, tubelet: int) -> Tensor:
    """How much each token's patch differs from the batch's median frame.

    With a fixed camera the median is the empty scene, so this finds robot and object
    in still clips also. Shapes and range as in `motion`.
    """
    stride = -(-len(frames) // BACKGROUND_CLIPS)
    background = frames[::stride, 0].float().median(dim=0).values  # (height, width, 3)
    return _patch_mean((frames.float() - background).abs(), patch, tubelet)


def _patch_mean(difference: Tensor, patch: int, tubelet: int) -> Tensor:
    return patchify(difference, patch, tubelet).mean(dim=(2, 3)) / 255.0
