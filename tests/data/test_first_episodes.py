"""A cache cut to its first episodes."""

import numpy as np
import pytest
import torch

from tests.data.lerobot_like import Made, write
from worldmodel.data import DatasetError, FrameCache, View, Windows, open_dataset
from worldmodel.data.first_episodes import first_episodes
from worldmodel.data.splits import SplitRule

LENGTHS = tuple(3 + place % 4 for place in range(21))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FrameCache:
    root = write(tmp_path_factory.mktemp("made") / "data", Made(lengths=LENGTHS))
    return FrameCache.open(open_dataset(root, View(height=16, width=16)))


def test_it_ends_with_the_last_episode_for_training_that_is_wanted(cache: FrameCache):
    in_training = [i for i in range(21) if SplitRule().split_of(i) == "train"]
    cut = first_episodes(cache, 5)
    assert Windows(cut, "train", 1).episodes == tuple(in_training[:5])
    assert int(cut.episodes[-1]) == in_training[4]
    rows = len(cut.frames)
    assert rows == cut.offsets[-1] == len(cut.actions) == len(cut.proprio)
    assert cut.frames.shape == (rows, *cache.frames.shape[1:])
    fingerprints = {first_episodes(cache, n).fingerprint for n in (4, 5)}
    assert len(fingerprints | {cache.fingerprint}) == 3


def test_its_frames_are_those_of_the_whole_one(cache: FrameCache):
    cut, whole = first_episodes(cache, 5), np.asarray(cache.frames)
    count = len(cut.frames)
    assert np.array_equal(np.asarray(cut.frames), whole[:count])
    assert np.array_equal(cut.frames[2:9], whole[2:9])
    assert np.array_equal(cut.frames[count - 2 : count + 5], whole[count - 2 : count])
    assert np.array_equal(cut.frames[-1], whole[count - 1])
    rows = torch.tensor([[0, count - 1], [3, 3]])
    assert np.array_equal(cut.frames_at(rows).numpy(), whole[rows.numpy()])
    with pytest.raises(IndexError, match="rows must be"):
        cut.frames[np.array([count])]


@pytest.mark.parametrize("count", [0, 20, 100])
def test_more_than_there_are_is_refused(cache: FrameCache, count: int):
    with pytest.raises(DatasetError, match=r"episodes must be in \[1, 19\].*got"):
        first_episodes(cache, count)
