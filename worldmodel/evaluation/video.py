"""Moving pictures: panels with captions, as mp4 and GIF."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from worldmodel.atomic import new_file
from worldmodel.errors import WorldModelError

_CAPTION_HEIGHT = 22
_GAP = 4
_BACKGROUND = (24, 24, 28)
_TEXT = (235, 235, 235)
_FONT_SIZE = 13
# Tried in turn until a GIF is small enough.
_GIF_COLOURS = (128, 64, 32, 16)


def panels(
    images: Sequence[np.ndarray], captions: Sequence[str], footer: str, side: int = 192
) -> np.ndarray:
    """Puts images side by side with captions above and one line below.

    Args:
        images: uint8 (height, width, 3) each.
        captions: One per image.
        footer: Line below, e.g. "step 12 of 50".
        side: Height of a panel [px]; enlarged without smoothing.

    Returns:
        uint8 (h, w, 3) with even sides.
    """
    if len(images) != len(captions) or not images:
        raise WorldModelError(
            f"as many captions as images are needed, got {len(captions)} and "
            f"{len(images)}"
        )
    widths = [round(side * image.shape[1] / image.shape[0]) for image in images]
    width = sum(widths) + _GAP * (len(images) - 1)
    height = side + 2 * _CAPTION_HEIGHT
    canvas = Image.new("RGB", (width + width % 2, height + height % 2), _BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=_FONT_SIZE)
    left = 0
    for image, caption, panel_width in zip(images, captions, widths, strict=True):
        panel = Image.fromarray(image).resize(
            (panel_width, side), Image.Resampling.NEAREST
        )
        canvas.paste(panel, (left, _CAPTION_HEIGHT))
        draw.text((left + 3, 3), caption, fill=_TEXT, font=font)
        left += panel_width + _GAP
    draw.text((3, side + _CAPTION_HEIGHT + 3), footer, fill=_TEXT, font=font)
    return np.asarray(canvas)


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
    strip = Image.fromarray(np.concatenate(list(frames[:: max(1, len(frames) // 8)])))
    palette = strip.quantize(colours)
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
