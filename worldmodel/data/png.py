"""PNG frames, encoded and decoded an episode at a time.

Rendered frames need no search for the best row filter: "up" (the difference to the row
above) on every row compresses them well, and a whole episode is filtered at once.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from worldmodel.data.errors import DatasetError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FILTER_UP = 2
_COMPRESSION = 1
_CHUNK_FRAME_BYTES = 12  # length, name and checksum of a chunk


def encode_frames(frames: np.ndarray) -> list[bytes]:
    """Gives each of the frames (T, height, width, 3) uint8 as a PNG file."""
    count, height, width, _ = frames.shape
    rows = frames.reshape(count, height, width * 3)
    lines = np.empty((count, height, 1 + width * 3), np.uint8)
    lines[:, :, 0] = _FILTER_UP
    lines[:, 0, 1:] = rows[:, 0]
    np.subtract(rows[:, 1:], rows[:, :-1], out=lines[:, 1:, 1:])
    head, tail = _head(height, width), _chunk(b"IEND", b"")
    return [
        head + _chunk(b"IDAT", zlib.compress(image.data, _COMPRESSION)) + tail
        for image in lines
    ]


def decode_frames(pngs: Sequence[bytes], height: int, width: int) -> np.ndarray:
    """Gives the pixels of PNG files as (T, height, width, 3) uint8.

    Files as `encode_frames` writes them are read together, others one by one.

    Raises:
        DatasetError: A file is not a whole RGB PNG of that size.
    """
    head = _head(height, width)
    if not pngs[0].startswith(head):  # before room is made for a size that it may lack
        return np.stack([_decode_any(png, height, width) for png in pngs])
    lines = np.empty((len(pngs), height, 1 + width * 3), np.uint8)
    for png, image in zip(pngs, lines, strict=True):
        pixels = _inflate(png, head, image.nbytes)
        if pixels is None:
            return np.stack([_decode_any(png, height, width) for png in pngs])
        image[:] = pixels.reshape(image.shape)
    if not (lines[:, :, 0] == _FILTER_UP).all():
        return np.stack([_decode_any(png, height, width) for png in pngs])
    rows = lines[:, :, 1:].copy()
    for row in range(1, height):  # uint8 sums wrap, as the filter asks
        rows[:, row] += rows[:, row - 1]
    return rows.reshape(len(pngs), height, width, 3)


def _inflate(png: bytes, head: bytes, size: int) -> np.ndarray | None:
    """Gives the filtered bytes of a PNG of our own kind, None of any other."""
    start = len(head)
    if not png.startswith(head) or png[start + 4 : start + 8] != b"IDAT":
        return None
    (length,) = struct.unpack(">I", png[start : start + 4])
    if len(png) != start + length + 2 * _CHUNK_FRAME_BYTES:
        return None
    packed = memoryview(png)[start + 8 : start + 8 + length]
    try:
        pixels = zlib.decompressobj().decompress(packed, size + 1)
    except zlib.error:
        return None
    return np.frombuffer(pixels, np.uint8) if len(pixels) == size else None


def _decode_any(png: bytes, height: int, width: int) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(png)) as image:
            if image.size != (width, height) or image.mode != "RGB":
                raise DatasetError(
                    f"frames must be RGB of {width} x {height} pixels, got "
                    f"{image.mode} of {image.size[0]} x {image.size[1]}"
                )
            return np.asarray(image)
    except (OSError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise DatasetError(f"a frame is no whole PNG: {error}") from error


def _head(height: int, width: int) -> bytes:
    # 8 bits per channel, RGB, deflate, adaptive filters, not interlaced
    return _SIGNATURE + _chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    )


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(name))
    return (
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
    )
