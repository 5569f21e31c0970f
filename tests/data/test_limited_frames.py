"""Decoded frames of which no more than so many bytes are kept."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.lerobot_like import Made, write
from tests.data.test_lazy_frames import Counted, all_frames
from worldmodel.data import DatasetError, FrameCache
from worldmodel.data.limited_frames import KEPT, LimitedFrames

MADE = Made(lengths=(40, 3, 70), codec="libx264")
SLOT = KEPT * MADE.height * MADE.width * 3  # bytes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "made", MADE)


def opened(root: Path, slots: float) -> tuple[LimitedFrames, list]:
    """Frames that keep so many chunks, and what is read of the pictures from now on."""
    dataset = Counted.open(root)
    frames = FrameCache.open(dataset, root / "cache", 2, limit=int(slots * SLOT)).frames
    assert isinstance(frames, LimitedFrames)
    read = dataset.__dict__.setdefault("read", [])
    read.clear()
    return frames, read


def taken(folder: Path) -> int:
    """Bytes of the disk that a folder takes, files without a name among them."""
    named = sum(f.stat().st_blocks * 512 for f in folder.rglob("*") if f.is_file())
    for line in Path("/proc/self/maps").read_text().splitlines():
        if str(folder) in line and line.endswith("(deleted)"):
            begin, end = line.split()[0].split("-")
            named += int(end, 16) - int(begin, 16)
    return named


@pytest.mark.parametrize("slots", [1, 2, 3.2])
def test_frames_are_the_same_however_few_are_kept(root: Path, slots):
    frames, _ = opened(root, slots)
    whole, generator = all_frames(root), np.random.default_rng(0)
    assert (frames.shape, frames.dtype, len(frames)) == (whole.shape, np.uint8, 113)
    for _ in range(20):
        rows = generator.integers(-113, 113, (3, 2))
        assert np.array_equal(frames[rows], whole[rows])
    assert np.array_equal(frames[44], whole[44])
    assert np.array_equal(frames[30:75], whole[30:75])
    assert np.array_equal(np.asarray(frames), whole)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for its mapped files")
def test_memory_and_disk_stay_below_the_limit(root: Path):
    before = taken(root)
    frames, _ = opened(root, 2.5)
    assert frames.nbytes == 2 * SLOT
    numbers = 32 * 1024  # actions and the like, in blocks of the disk
    for _ in range(2):
        assert 2 * SLOT <= taken(root) - before <= 2.5 * SLOT + numbers
        np.asarray(frames)
    del frames
    assert taken(root) - before <= numbers


def test_what_nobody_asked_for_the_longest_is_dropped(root: Path):
    frames, read = opened(root, 2)
    first, second, third = 0, 40, 43  # rows of three chunks
    for row in (first, second, first, third, first):
        frames[row]
    assert [index for index, *_ in read] == [0, 1, 2]
    frames[second]
    assert [index for index, *_ in read] == [0, 1, 2, 1]


def test_threads_get_what_they_ask_for(root: Path):
    frames, _ = opened(root, 2)
    whole = all_frames(root)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda row: frames[row : row + 9], range(0, 104, 3)))
    for row, some in zip(range(0, 104, 3), found, strict=True):
        assert np.array_equal(some, whole[row : row + 9])


def test_damaged_pictures_leave_the_others_right(root: Path, monkeypatch):
    frames, _ = opened(root, 2)
    frames[np.array([0, 43])]
    read = Counted.pictures

    def damaged(dataset: Counted, index: int, begin: int, count: int) -> np.ndarray:
        if index == 1:
            raise DatasetError("torn")
        return read(dataset, index, begin, count)

    with monkeypatch.context() as patched:
        patched.setattr(Counted, "pictures", damaged)
        with pytest.raises(DatasetError, match="torn"):
            frames[30:50]
    assert np.array_equal(np.asarray(frames), all_frames(root))


def test_rows_that_are_not_there_are_refused(root: Path):
    frames, _ = opened(root, 2)
    for rows in (np.array([113]), np.array([-114]), np.array([0.5])):
        with pytest.raises(IndexError, match="rows must be whole numbers in"):
            frames[rows]
    with pytest.raises(IndexError):
        frames[113]


def test_a_limit_that_is_enough_changes_nothing(root: Path):
    dataset = Counted.open(root)
    cache = FrameCache.open(dataset, root / "cache", limit=113 * SLOT // KEPT)
    assert not isinstance(cache.frames, LimitedFrames)
    rows = torch.tensor([1, 100])
    assert np.array_equal(cache.frames_at(rows).numpy(), all_frames(root)[[1, 100]])


def test_a_limit_of_less_than_a_chunk_is_refused(root: Path):
    with pytest.raises(DatasetError, match=f"must be at least {SLOT} bytes, .* got 99"):
        FrameCache.open(Counted.open(root), root / "cache", limit=99)
