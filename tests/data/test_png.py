import io

import numpy as np
import pytest
from PIL import Image

from worldmodel.data import DatasetError
from worldmodel.data.png import decode_frames, encode_frames


def _frames(count: int, height: int, width: int) -> np.ndarray:
    shape = (count, height, width, 3)
    return np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 5), (96, 96)])
def test_frames_survive_exactly(height: int, width: int) -> None:
    frames = _frames(3, height, width)
    assert np.array_equal(decode_frames(encode_frames(frames), height, width), frames)


def test_another_program_reads_our_pngs() -> None:
    frames = _frames(2, 9, 11)
    for frame, png in zip(frames, encode_frames(frames), strict=True):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), frame)


def test_we_read_the_pngs_of_another_program() -> None:
    frames = _frames(2, 9, 11)
    pngs = []
    for frame in frames:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "PNG")
        pngs.append(buffer.getvalue())
    mixed = [encode_frames(frames)[0], pngs[1]]
    assert np.array_equal(decode_frames(pngs, 9, 11), frames)
    assert np.array_equal(decode_frames(mixed, 9, 11), frames)


def test_a_frame_of_another_size_is_an_error() -> None:
    with pytest.raises(
        DatasetError, match="must be RGB of 11 x 9 pixels, got RGB of 8 x 6"
    ):
        decode_frames(encode_frames(_frames(1, 6, 8)), 9, 11)
