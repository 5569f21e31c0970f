"""Moving pictures as mp4 and GIF."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from worldmodel.errors import WorldModelError
from worldmodel.files.atomic import new_file

# Tried in turn until a GIF is small enough.
_GIF_COLOURS = (128, 96, 64, 32, 16)
_REFINEMENTS = 4  # of a palette, by k-means
_SWATCH_BITS = 5  # of each channel that make colours different


def write_mp4(frames: Sequence[np.ndarray], path: Path, fps: float = 5.0) -> None:
    """Writes an H.264 video.

    Args:
        frames: uint8 (height, width, 3) each, even sides, at least one.
        path: Where to write.
        fps: Frames per second [1/s].
    """
    height, width = _check_frames(frames)
    if height % 2 or width % 2:
        raise WorldModelError(
            f"H.264 needs even sides, got height {height} and width {width}"
        )
    rate = Fraction(fps).limit_denominator(1000)
    with (
        new_file(path) as staging,
        av.open(str(staging), mode="w", format="mp4") as container,
    ):
        stream = container.add_stream("h264", rate=rate, options={"crf": "20"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def write_gif(
    frames: Sequence[np.ndarray],
    path: Path,
    fps: float = 5.0,
    max_bytes: int = 1_500_000,
) -> None:
    """Writes a looping GIF, with fewer colours until it is small enough.

    Args:
        frames: uint8 (height, width, 3) each, at least one.
        path: Where to write.
        fps: Frames per second [1/s].
        max_bytes: Largest size of the file [bytes].

    Raises:
        WorldModelError: It stays too large even with the fewest colours.
    """
    _check_frames(frames)
    for colours in _GIF_COLOURS:
        content = _gif(frames, fps, colours)
        if len(content) <= max_bytes:
            with new_file(path) as staging:
                staging.write_bytes(content)
            return
    raise WorldModelError(
        f"{path.name} takes {len(content)} bytes with {_GIF_COLOURS[-1]} colours, "
        f"max_bytes is {max_bytes}; use fewer or smaller frames"
    )


def _gif(frames: Sequence[np.ndarray], fps: float, colours: int) -> bytes:
    # One palette for the whole film: frames then share what does not move.
    some = _swatches(frames[:: max(1, len(frames) // 8)])
    palette = some.quantize(colours, kmeans=_REFINEMENTS)
    images = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    content = io.BytesIO()
    images[0].save(
        content,
        format="GIF",
        save_all=True,
        append_images=images[1:],
        duration=round(1000 / fps),
        loop=0,
        optimize=False,
    )
    return content.getvalue()


def _swatches(frames: Sequence[np.ndarray]) -> Image.Image:
    """A picture with the colours of frames, rare ones more often than they occur.

    Otherwise a small thing in a colour of its own gets none in the palette.
    """
    pixels = np.concatenate([frame.reshape(-1, 3) for frame in frames])
    levels = (pixels >> (8 - _SWATCH_BITS)).astype(np.int32)
    cells = (levels[:, 0] << 2 * _SWATCH_BITS) + (levels[:, 1] << _SWATCH_BITS)
    cells += levels[:, 2]
    counts = np.bincount(cells)
    seen = np.flatnonzero(counts)
    sums = [np.bincount(cells, pixels[:, channel])[seen] for channel in range(3)]
    means = (np.stack(sums, axis=1) / counts[seen, None]).round().astype(np.uint8)
    often = np.ceil(np.sqrt(counts[seen])).astype(int)
    return Image.fromarray(np.repeat(means, often, axis=0)[None])


def _check_frames(frames: Sequence[np.ndarray]) -> tuple[int, int]:
    if not frames:
        raise WorldModelError("a film needs at least 1 frame, got 0")
    first = frames[0]
    for index, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape != first.shape:
            raise WorldModelError(
                f"frames must all be uint8 {first.shape}, got {frame.dtype} "
                f"{frame.shape} at {index}"
            )
    return first.shape[0], first.shape[1]
