"""Pictures of one camera or several, side by side in one frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worldmodel.data.foreign_info import Feature
from worldmodel.data.foreign_pictures import PictureReader, Steps, picture_file
from worldmodel.data.foreign_records import ForeignRecord
from worldmodel.data.view import View


@dataclass(frozen=True, eq=False)
class Panel:
    """A camera's part of a frame.

    Attributes:
        camera: The feature whose pictures are used.
        records: Where episodes lie, by their index.
        size: Height and width that its pictures are resized to [pixels].
    """

    camera: Feature
    records: Mapping[int, ForeignRecord]
    size: tuple[int, int]


class Panels:
    """Reads frames that panels make up, from left to right; callable from threads.

    Attributes:
        panels: All of one height.
        height: Of a frame [pixels].
        width: Of a frame, that of its panels together [pixels].
    """

    def __init__(self, panels: Sequence[Panel], rate_hz: float) -> None:
        """For panels with so many pictures a second [Hz]."""
        self.panels = tuple(panels)
        self.height = self.panels[0].size[0]
        self.width = sum(panel.size[1] for panel in self.panels)
        self._readers = [PictureReader(panel.camera, rate_hz) for panel in self.panels]

    @property
    def keys(self) -> tuple[str, ...]:
        """Of the cameras."""
        return tuple(panel.camera.key for panel in self.panels)

    @property
    def files(self) -> list[Path]:
        """The files with pictures, each once."""
        records = [record for panel in self.panels for record in panel.records.values()]
        return list(dict.fromkeys(map(picture_file, records)))

    def frames(self, index: int, first: int, steps: Steps) -> np.ndarray:
        """Gives frames of an episode, uint8 (T, height, width, 3).

        Args:
            index: The episode's.
            first: Its first row in its data file.
            steps: Which of its pictures.

        Raises:
            DatasetError: They are damaged.
        """
        parts = [
            reader.frames(panel.records[index], first, steps, panel.size)
            for panel, reader in zip(self.panels, self._readers, strict=True)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def panel_sizes(cameras: Sequence[Feature], view: View) -> list[tuple[int, int]]:
    """Gives the height and width that each camera's pictures are resized to."""
    told = [camera.pixels() for camera in cameras]
    found = [size for size in told if size is not None]
    assert len(found) == len(cameras), "only what holds pictures is chosen"
    height = view.height or found[0][0]
    if view.width is not None:
        return [(height, view.width // len(cameras))] * len(cameras)
    if len(cameras) == 1:
        return [(height, found[0][1])]
    return [(height, max(1, round(wide * height / high))) for high, wide in found]
