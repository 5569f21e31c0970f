"""A dataset at a glance: one picture with a row of frames for each of some episodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from worldmodel.data.errors import DatasetError
from worldmodel.data.source import EpisodeSource
from worldmodel.files.atomic import new_file

_CAPTION_HEIGHT = 16
_GAP = 2
_PAPER = (255, 255, 255)
_INK = (40, 40, 40)


def contact_sheet(
    dataset: EpisodeSource,
    path: str | Path,
    rows: int = 8,
    columns: int = 10,
    episodes: Sequence[int] | None = None,
) -> Path:
    """Writes a PNG with frames of some episodes, time running to the right.

    Above each row stand the episode's index, its length, and its notes.

    Args:
        dataset: The dataset.
        path: The file to write.
        rows: Episodes to show, spread evenly; fewer if there are not so many.
        columns: Frames of each, spread evenly from the first to the last.
        episodes: The indices of the episodes to show, instead of spread ones.

    Returns:
        The file.
    """
    for name, value in (("rows", rows), ("columns", columns)):
        if value < 1:
            raise DatasetError(f"{name} must be at least 1, got {value}")
    if episodes is None:
        places = _spread(len(dataset), rows)
        episodes = [dataset.indices[place] for place in places]
    if not episodes:
        raise DatasetError("episodes must name at least one episode")
    cell_width, cell_height = dataset.spec.width + _GAP, dataset.spec.height + _GAP
    row_height = cell_height + _CAPTION_HEIGHT
    size = (columns * cell_width + _GAP, len(episodes) * row_height + _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    for row, index in enumerate(episodes):
        frames = dataset.episode(index).frames
        top = row * row_height
        draw.text((_GAP, top + _GAP), _caption(dataset, index), fill=_INK)
        for column, step in enumerate(_spread(len(frames), columns)):
            left = _GAP + column * cell_width
            sheet.paste(Image.fromarray(frames[step]), (left, top + _CAPTION_HEIGHT))
    with new_file(Path(path)) as file:
        sheet.save(file, "PNG")
    return Path(path)


def _spread(available: int, wanted: int) -> list[int]:
    count = min(available, wanted)
    return np.linspace(0, available - 1, count).round().astype(int).tolist()


def _caption(dataset: EpisodeSource, index: int) -> str:
    record = dataset.record(index)
    seconds = record.length / dataset.spec.fps
    notes = "  ".join(f"{key}={value}" for key, value in record.notes.items())
    return f"episode {index}  {record.length} frames  {seconds:.1f} s  {notes}"
