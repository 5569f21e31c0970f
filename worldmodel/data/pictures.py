"""Pictures as files hold them, to frames of one size."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image

from worldmodel.data.errors import DatasetError


def decode_picture(content: bytes) -> np.ndarray:
    """Gives the pixels of a PNG or JPEG file, uint8 (height, width, 3).

    Raises:
        DatasetError: It is cut off, or no RGB picture with 8 bits.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            mode = "RGB with 16 bits" if is_deep(image) else image.mode
            if mode != "RGB":
                raise DatasetError(f"must be RGB with 8 bits, got {mode}")
            return np.array(image)
    except (
        OSError,
        SyntaxError,
        ValueError,
        struct.error,
        Image.DecompressionBombError,
    ) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"must be a whole PNG or JPEG file: {error}") from error


def is_deep(image: Image.Image) -> bool:
    """Whether a picture that Pillow opens as RGB has more than 8 bits per channel."""
    raw = [str(part[3]) for part in getattr(image, "tile", ())]
    return image.mode == "RGB" and any(";16" in mode for mode in raw)


def resized(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Gives a frame uint8 (h, w, 3) as (height, width, 3).

    A smaller one has the mean of the pixels that each of its own covers; what is
    enlarged is interpolated.
    """
    if frame.shape[:2] == (height, width):
        return frame
    shrinks = height <= frame.shape[0] and width <= frame.shape[1]
    how = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    return np.array(Image.fromarray(frame).resize((width, height), how))
