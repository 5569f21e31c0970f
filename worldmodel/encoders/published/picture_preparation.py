"""The picture preparation that a Hugging Face folder tells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worldmodel.encoders.published.preparation import STATISTICS, Preparation
from worldmodel.encoders.published.spec import Reading
from worldmodel.errors import CheckpointError, WorldModelError
from worldmodel.files.json_file import read_object, short

FILE = "preprocessor_config.json"
INTERPOLATIONS = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers
_CLOSE = 1e-3  # of a mean or a standard deviation that is written with three digits


def told_preparation(folder: Path, reading: Reading) -> Preparation:
    """What preprocessor_config.json says, but for what the options say.

    Raises:
        CheckpointError: it is missing, or asks for what is not done here.
    """
    path = folder / FILE
    if not path.is_file():
        raise CheckpointError(
            f"{folder} lacks {FILE}, which tells how pictures are prepared: download "
            "it, too"
        )
    try:
        told = read_object(path)
    except WorldModelError as error:
        raise CheckpointError(f"{error}: download it again") from error
    for key in ("do_resize", "do_rescale", "do_normalize"):
        if told.get(key, True) is not True:
            raise CheckpointError(
                f"{path}: {key} must be true, got {short(told[key])}: such pictures "
                "are not known here"
            )
    number = told.get("resample", 2)
    if number not in INTERPOLATIONS:
        raise CheckpointError(
            f"{path}: resample must be one of {list(INTERPOLATIONS)} (bilinear, "
            f"bicubic), got {short(number)}"
        )
    crop, resize = _sizes(told, path)
    if reading.crop is not None:
        # as much of the picture is seen as before
        resize = resize * reading.crop // crop
        crop = reading.crop
    resize = resize if reading.resize is None else reading.resize
    try:
        return Preparation(
            crop, resize, _statistics(told, path), INTERPOLATIONS[number]
        )
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _sizes(told: Mapping[str, Any], path: Path) -> tuple[int, int]:
    """Side of the square, and short side before it is cut; 0 where nothing is cut."""
    size = told.get("size")
    if told.get("do_center_crop"):
        short_side = size.get("shortest_edge") if isinstance(size, Mapping) else size
        return _square(told.get("crop_size"), path), _side(short_side, path)
    return _square(size, path), 0


def _square(value: object, path: Path) -> int:
    """The side of a square: n, or {"height": n, "width": n}."""
    if not isinstance(value, Mapping):
        return _side(value, path)
    if value.get("height") != value.get("width"):
        raise CheckpointError(f"{path}: pictures must be squares, got {short(value)}")
    return _side(value.get("height"), path)


def _side(value: object, path: Path) -> int:
    if type(value) is not int or value < 1:
        raise CheckpointError(
            f"{path}: size and crop_size must tell whole numbers of pixels, got "
            f"{short(value)}"
        )
    return value


def _statistics(told: Mapping[str, Any], path: Path) -> str:
    found = told.get("image_mean"), told.get("image_std")
    for name, known in STATISTICS.items():
        if all(_alike(*pair) for pair in zip(found, known, strict=True)):
            return name
    raise CheckpointError(
        f"{path}: image_mean and image_std must be one of {STATISTICS}, got {found}"
    )


def _alike(found: object, known: tuple[float, ...]) -> bool:
    return (
        isinstance(found, list)
        and len(found) == len(known)
        and all(isinstance(value, int | float) for value in found)
        and all(abs(a - b) < _CLOSE for a, b in zip(found, known, strict=True))
    )
