"""Frames that are decoded when somebody first asks for them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.data.lerobot_like import CAMERA, DATA, Made, change, change_info, write
from worldmodel.data import DatasetError, FrameCache, Windows, open_dataset
from worldmodel.data.foreign import ForeignDataset
from worldmodel.data.lazy_frames import CHUNK, DECODED, Chunks, LazyFrames

MADE = Made(lengths=(40, 3, 70), codec="libx264")


class Counted(ForeignDataset):
    """Tells which pictures were read."""

    def pictures(self, index: int, begin: int, count: int) -> np.ndarray:
        read: list[tuple[int, int, int]] = self.__dict__.setdefault("read", [])
        read.append((index, begin, count))
        return super().pictures(index, begin, count)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "made", MADE)


def opened(root: Path, workers: int = 2) -> tuple[FrameCache, list]:
    """The cache, and what is read of the pictures from now on."""
    dataset = Counted.open(root)
    cache = FrameCache.open(dataset, root / "cache" / "frames", workers)
    read = dataset.__dict__.setdefault("read", [])
    read.clear()
    return cache, read


def all_frames(root: Path) -> np.ndarray:
    dataset = open_dataset(root)
    return np.concatenate([dataset.episode(i).frames for i in dataset.indices])


def test_only_the_chunks_that_are_asked_for_are_decoded(root: Path):
    cache, read = opened(root)
    assert isinstance(cache.frames, LazyFrames)
    assert (cache.frames.shape, cache.frames.dtype) == ((113, 32, 48, 3), np.uint8)
    found = cache.frames_at(torch.tensor([[75, 44], [75, 45]]))
    assert sorted(read) == [(2, 0, 2 * CHUNK)]
    whole = all_frames(root)
    assert np.array_equal(found.numpy(), whole[[[75, 44], [75, 45]]])
    assert np.array_equal(cache.frames[44], whole[44])
    assert np.array_equal(cache.frames[np.array([-38])], whole[[-38]])
    assert len(read) == 1
    read.clear()
    cache.frames_at(torch.tensor([43]))
    assert np.array_equal(cache.frames[35:45], whole[35:45])
    assert sorted(read) == [(0, CHUNK, 8), (1, 0, 3)]
    assert np.array_equal(np.asarray(cache.frames), whole)
    assert sum(count for *_, count in read) == 8 + 3 + 32 + 6


def test_windows_are_those_of_decoded_frames(root: Path):
    windows = Windows(opened(root)[0], "train", length=3)
    batch = windows.at(windows.spread(9))
    whole, offsets = all_frames(root), np.cumsum([0, *MADE.lengths])
    rows = offsets[batch.episode] + batch.start.numpy()
    assert np.array_equal(batch.frames.numpy(), whole[rows[:, None] + np.arange(3)])


def test_what_was_decoded_is_there_the_next_time(root: Path):
    cache, _ = opened(root)
    assert isinstance(cache.frames, LazyFrames)
    cache.frames[:5]
    cache.frames.save()
    again, read = opened(root)
    again.frames[:CHUNK]
    assert read == []
    np.asarray(again.frames)
    assert sum(count for *_, count in read) == 113 - CHUNK
    last, read = opened(root)  # complete: nothing but a mapped file
    assert isinstance(last.frames, np.memmap)
    assert np.array_equal(last.frames, all_frames(root))
    assert read == []


def test_what_a_killed_process_did_not_note_is_decoded_again(root: Path):
    opened(root)[0].frames[:5]
    cache, read = opened(root)
    assert np.array_equal(cache.frames[:5], all_frames(root)[:5])
    assert read == [(0, 0, CHUNK)]


def test_two_that_fill_one_cache_complete_each_other(root: Path):
    one, other = opened(root)[0].frames, opened(root)[0].frames
    assert isinstance(one, LazyFrames)
    assert isinstance(other, LazyFrames)
    one[:43]
    other[43:]
    one.save()
    other.save()
    assert np.load(root / "cache" / "frames" / DECODED).all()
    assert np.array_equal(opened(root)[0].frames, all_frames(root))


def test_nothing_is_noted_in_a_cache_that_took_its_place(root: Path):
    old = opened(root)[0].frames
    assert isinstance(old, LazyFrames)
    old[:5]
    change_info(root, "features/action/names", ["left", "right"])
    new, _ = opened(root)
    old.save()
    assert not np.load(root / "cache" / "frames" / DECODED).any()
    assert np.array_equal(new.frames[:5], all_frames(root)[:5])


def test_threads_get_what_they_ask_for(root: Path):
    cache, read = opened(root, workers=3)
    whole = all_frames(root)
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda row: cache.frames[row : row + 2], range(0, 112, 2))
        )
    assert np.array_equal(np.concatenate(found), whole[:112])
    assert sum(count for *_, count in read) == 113


def test_damaged_pictures_are_told_when_they_are_asked_for(tmp_path: Path):
    root = write(tmp_path / "made", replace(MADE, codec="PNG"))
    rows: list = []

    def damaged(values: list) -> list:
        rows.extend(values)
        return [*values[:100], {"bytes": b"none", "path": None}, *values[101:]]

    change(root / DATA, CAMERA, damaged)
    cache, _ = opened(root)
    with pytest.raises(DatasetError, match=r"episode 2: frame 57 must be a whole PNG"):
        np.asarray(cache.frames)
    assert cache.frames[:75].shape == (75, 32, 48, 3)
    change(root / DATA, CAMERA, lambda values: rows)
    again, _ = opened(root)
    assert np.array_equal(np.asarray(again.frames), all_frames(root))


def test_views_cannot_be_written(root: Path):
    frames = opened(root)[0].frames
    with pytest.raises(ValueError, match="read-only"):
        frames[:5][0] = 1
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(frames)[0] = 1
    frames[np.array([1, 2])][0] = 1  # a copy
    assert not np.array_equal(frames[1:2], frames[2:3])


@given(st.lists(st.integers(1, 3 * CHUNK + 1), min_size=1, max_size=5), st.data())
def test_chunks_cover_rows_and_cross_no_episode(lengths, data):
    offsets = np.cumsum([0, *lengths])
    chunks = Chunks.of(offsets)
    assert chunks.begins[0] == 0
    assert chunks.begins[-1] == offsets[-1]
    sizes = np.diff(chunks.begins)
    assert sizes.min() >= 1
    assert sizes.max() <= CHUNK
    assert set(offsets) <= set(chunks.begins)
    rows = data.draw(st.lists(st.integers(0, int(offsets[-1]) - 1), min_size=1))
    held = chunks.holding(np.array(rows))
    for row in rows:
        inside = (chunks.begins[held] <= row) & (row < chunks.begins[held + 1])
        assert inside.sum() == 1
    runs = list(chunks.runs(held))
    assert np.array_equal(np.concatenate(runs), held)
    for run in runs:
        assert len(set(chunks.episodes[run])) == 1
        assert (np.diff(run) == 1).all()
