"""The pictures of any LeRobot v3 dataset, in parquet or in video files."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from worldmodel.data.errors import DatasetError
from worldmodel.data.foreign_info import MEND, Feature
from worldmodel.data.foreign_records import ForeignRecord
from worldmodel.data.pictures import decode_picture, resized
from worldmodel.data.video import video_frames

_SAMPLE = 2**16  # bytes at each end of a file, of which a fingerprint is made


@dataclass(frozen=True)
class Steps:
    """Some pictures of an episode.

    Attributes:
        count: How many, T.
        stride: Control steps from one to the next.
        begin: Control step of the first.
    """

    count: int
    stride: int = 1
    begin: int = 0


class PictureReader:
    """Reads a camera's pictures; callable from several threads."""

    def __init__(self, camera: Feature, rate_hz: float) -> None:
        """For a feature that holds RGB pictures, so many a second [Hz]."""
        self._camera, self._rate_hz = camera, rate_hz
        # a file with one row group would else be read anew for each of its episodes
        self._group = functools.lru_cache(maxsize=2)(_read_group)

    def frames(
        self,
        record: ForeignRecord,
        first: int,
        steps: Steps,
        size: tuple[int, int],
    ) -> np.ndarray:
        """Gives frames of an episode, resized, uint8 (T, height, width, 3).

        Args:
            record: Where the episode lies.
            first: Its first row in its data file.
            steps: Which of its pictures.
            size: Height and width [pixels].

        Raises:
            DatasetError: They are damaged or of another size than info.json says; the
                message names file, episode and frame.
        """
        told = self._camera.pixels()
        frames = np.empty((steps.count, *size, 3), np.uint8)
        try:
            pictures = self._pictures(record, first, steps)
            for step, picture in enumerate(pictures, steps.begin):
                if picture.shape[:2] != told:
                    raise DatasetError(
                        f"frame {step} must have {told} pixels (height, width), as "
                        f"info.json says, got {picture.shape[:2]}"
                    )
                place, rest = divmod(step - steps.begin, steps.stride)
                if not rest:
                    frames[place] = resized(picture, *size)
        except DatasetError as error:
            file = picture_file(record)
            raise DatasetError(
                f"{file}: episode {record.index}: {error}: {MEND}"
            ) from error
        return frames

    def _pictures(
        self, record: ForeignRecord, first: int, steps: Steps
    ) -> Iterator[np.ndarray]:
        """Gives all pictures from the first of these to the last, as recorded."""
        begin, count = steps.begin, (steps.count - 1) * steps.stride + 1
        if record.video is not None:
            video = record.video
            yield from video_frames(
                video.file, video.start, begin, count, self._rate_hz
            )
            return
        contents = self._contents(record.data_file, first + begin, count)
        for step, content in enumerate(contents, begin):
            if not content:
                raise DatasetError(f"frame {step} must have bytes, got null")
            try:
                yield decode_picture(content)
            except DatasetError as error:
                raise DatasetError(f"frame {step} {error}") from error

    def _contents(self, file: Path, first: int, count: int) -> Iterator[Any]:
        """Gives the picture files in the rows from `first` on, None for null."""
        groups, begin = pq.read_metadata(file), 0
        for group in range(groups.num_row_groups):
            end = begin + groups.row_group(group).num_rows
            if begin < first + count and end > first:
                column = self._group(file, group, self._camera.key)
                low, high = max(first, begin) - begin, min(first + count, end) - begin
                yield from (value.as_py() for value in column[low:high])
            begin = end


def missing_videos(records: Sequence[ForeignRecord]) -> list[str]:
    """Gives which video files are missing, each with its first episode."""
    first: dict[Path, int] = {}
    for record in records:
        if record.video is not None:
            first.setdefault(record.video.file, record.index)
    return [
        f"episode {index}: {file}, which holds its pictures, is missing"
        for file, index in first.items()
        if not file.is_file()
    ]


def picture_file(record: ForeignRecord) -> Path:
    """Gives the file with an episode's pictures."""
    return record.data_file if record.video is None else record.video.file


def ends_of(file: Path) -> bytes:
    """Gives the size of a file, and its first and its last bytes."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        head = opened.read(_SAMPLE)
        opened.seek(max(0, size - _SAMPLE))
        return str(size).encode() + head + opened.read(_SAMPLE)


def _read_group(file: Path, group: int, key: str) -> pa.ChunkedArray:
    """Gives the picture files in a row group."""
    try:
        table = pq.ParquetFile(file).read_row_group(group, [key])
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise DatasetError(f"{key} cannot be read ({text})") from error
    if not table.num_columns:
        raise DatasetError(f"its file lacks the column {key}")
    column: Any = table[key]
    kind = column.type
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        raise DatasetError(f"{key} must be a struct with binary bytes, got {kind}")
    place = kind.get_field_index("bytes")
    return pa.chunked_array([chunk.field(place) for chunk in column.chunks])
