"""How pictures are prepared for published encoders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

# Mean and standard deviation of each channel, of pixels in [0, 1].
STATISTICS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
INTERPOLATIONS = ("bilinear", "bicubic")


@dataclass(frozen=True)
class Preparation:
    """Resizes a picture, cuts the square in its middle, and normalises it.

    Attributes:
        crop: side of the square [px].
        resize: short side before it is cut [px]; 0 resizes the whole picture to the
            square, whatever its sides.
        statistics: "imagenet" or "half", what is subtracted and what divides.
        interpolation: "bilinear" or "bicubic", both antialiased.
    """

    crop: int
    resize: int
    statistics: str = "imagenet"
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        if self.crop < 1:
            raise ValueError(f"crop must be at least 1, got {self.crop}")
        if self.resize and self.resize < self.crop:
            raise ValueError(
                f"resize must be at least crop={self.crop}, or 0 for the whole "
                f"picture, got {self.resize}"
            )
        for name, known in (
            ("statistics", tuple(STATISTICS)),
            ("interpolation", INTERPOLATIONS),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(known)}, got "
                    f"{getattr(self, name)!r}"
                )

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a picture after resizing, before cutting."""
        if not self.resize:
            return self.crop, self.crop
        short = min(height, width)
        return int(self.resize * height / short), int(self.resize * width / short)


def prepare(pictures: Tensor, how: Preparation) -> Tensor:
    """What an encoder sees of pictures.

    Args:
        pictures: (N, height, width, 3) uint8, or floating point in [0, 255].
        how: the sizes and the statistics.

    Returns:
        (N, 3, crop, crop) float32, each channel normalised.
    """
    pixels = pictures.permute(0, 3, 1, 2).float()  # (N, 3, height, width)
    size = how.size(*pixels.shape[2:])
    if size != tuple(pixels.shape[2:]):
        pixels = F.interpolate(pixels, size, mode=how.interpolation, antialias=True)
        if pictures.dtype == torch.uint8:  # a resized picture is a picture again
            pixels = pixels.round()
        pixels = pixels.clamp(0.0, 255.0)
    top, left = (round((side - how.crop) / 2) for side in size)
    pixels = pixels[..., top : top + how.crop, left : left + how.crop]
    mean, std = _statistics(how.statistics, pixels.device)
    return (pixels / 255.0 - mean) / std


@lru_cache(maxsize=8)
def _statistics(name: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (3, 1, 1), copied to the device once."""
    with torch.inference_mode(False):  # kept for whoever comes next
        mean, std = torch.tensor(STATISTICS[name], device=device)[..., None, None]
        return mean, std
