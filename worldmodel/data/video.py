"""Frames of a video file by their place in time, never one beside it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from worldmodel.data.errors import DatasetError

_OFF = 0.3  # of a frame, what its time may be off; half would be the next one's


def video_frames(
    file: Path, start: float, begin: int, length: int, rate_hz: float
) -> Iterator[np.ndarray]:
    """Gives consecutive frames, decoded one after the other from a key frame on.

    Args:
        file: The video file.
        start: When the first frame of the episode is shown, in the file's time [s].
        begin: Which of the episode's frames is the first of them.
        length: How many.
        rate_hz: How many a second [Hz]; the file's times must agree.

    Yields:
        Frames uint8 (height, width, 3), RGB.

    Raises:
        DatasetError: The file is missing, damaged, holds other frames than these, or
            no colour; a frame that a decoder had to guess counts as damaged.
    """
    wanted, end = begin, start
    try:
        with av.open(str(file), metadata_errors="replace") as container:
            for frame in _decoded(container, start, begin, rate_hz):
                end = _time(frame)
                place = _place(end, start, rate_hz)
                if place < begin:
                    continue
                if place != wanted or frame.is_corrupt:
                    raise DatasetError(f"frame {wanted} is missing or damaged")
                yield frame.to_ndarray(format="rgb24")
                wanted += 1
                if wanted == begin + length:
                    return
    except FileNotFoundError as error:
        raise DatasetError("it is missing") from error
    except (FFmpegError, OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(f"it is half-written or damaged ({reason})") from error
    raise DatasetError(
        f"its frames end at {end:g} s, after {wanted} of the {begin + length} frames "
        f"from {start:g} s on"
    )


def _decoded(container: Any, start: float, begin: int, rate_hz: float) -> Iterator[Any]:
    """Gives frames from a key frame on that is not after the first one."""
    if not container.streams.video:
        raise DatasetError("it holds no video")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise DatasetError("no decoder is there for its video")
    pixels = stream.codec_context.pix_fmt or ""
    if pixels.startswith("gray"):
        raise DatasetError(f"it must hold RGB pictures, got {pixels}, as of depth")
    stream.thread_type = "NONE"  # episodes are decoded side by side already
    stream.codec_context.thread_count = 1
    for time in (start + begin / rate_hz, 0.0):
        container.seek(int(time / stream.time_base), stream=stream)
        frames = container.decode(stream)
        first = next(frames, None)
        if first is None:
            continue
        # with frames out of order, a search by decoding time may land too late
        if time == 0 or _place(_time(first), start, rate_hz) <= begin:
            return chain([first], frames)
    return iter(())


def _place(time: float, start: float, rate_hz: float) -> int:
    """Gives the place of a time among frames from the start on; negative before."""
    steps = (time - start) * rate_hz
    place = round(steps)
    if abs(steps - place) > _OFF:
        raise DatasetError(
            f"its frames must be 1 / {rate_hz:g} s apart from {start:g} s on, got one "
            f"at {time:g} s"
        )
    return place


def _time(frame: Any) -> float:
    if frame.pts is None:
        raise DatasetError("a frame of it has no time")
    return float(frame.pts * frame.time_base)
