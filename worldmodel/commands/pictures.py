"""Reads and writes goal pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from worldmodel.data.pictures import is_deep
from worldmodel.errors import OptionError
from worldmodel.files.atomic import new_file


def read_picture(
    path: Path, height: int | None = None, width: int | None = None
) -> np.ndarray:
    """Gives an RGB picture, uint8 (height, width, 3).

    Args:
        path: Its file.
        height: That it must have [px], with `width`; None takes any size.
        width: See `height`.

    Raises:
        OptionError: It is missing, no picture, cut off, not 8-bit RGB, or of another
            size; nothing is converted silently.
    """
    if not path.is_file():
        raise OptionError(f"no goal picture at {path}")
    try:
        with Image.open(path) as image:
            mode, size = image.mode, image.size
            if is_deep(image):
                mode = "RGB with 16 bits"  # of which Pillow would drop half
            if mode == "RGB" and (height is None or size == (width, height)):
                return np.array(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OptionError(f"{path} cannot be read as a picture: {error}") from error
    sized = "" if height is None else f" and {width}x{height} pixels for this model"
    raise OptionError(
        f"goal picture {path} must be RGB with 8 bits{sized}, got {mode} and "
        f"{size[0]}x{size[1]}"
    )


def write_picture(pixels: np.ndarray, path: Path) -> None:
    """Writes uint8 (height, width, 3) as PNG."""
    with new_file(path) as staging, staging.open("wb") as file:
        Image.fromarray(pixels).save(file, format="PNG")
