import dataclasses

import numpy as np
import pytest
import torch

from tests.data.synthetic import episode
from worldmodel.data import (
    SPLITS,
    DatasetError,
    FrameCache,
    LeRobotDataset,
    Split,
    SplitRule,
    WindowBatch,
    Windows,
)

RULE = SplitRule(block=5, validation=1, test=1)


@pytest.fixture(scope="module")
def cache(
    dataset: LeRobotDataset, tmp_path_factory: pytest.TempPathFactory
) -> FrameCache:
    return FrameCache.open(dataset, tmp_path_factory.mktemp("cache") / "frames")


def _assert_true(batch: WindowBatch, length: int, stride: int) -> None:
    """Compares each window with the episode it says it is from."""
    for i, (index, start) in enumerate(
        zip(batch.episode.tolist(), batch.start.tolist(), strict=True)
    ):
        source, end = episode(index), start + length * stride
        assert end <= len(source)
        seen = slice(start, end, stride)
        assert np.array_equal(batch.frames[i].numpy(), source.frames[seen])
        assert np.array_equal(batch.proprio[i].numpy(), source.proprio[seen])
        assert np.array_equal(batch.sim_state[i].numpy(), source.sim_state[seen])
        actions = source.actions[start:end].reshape(length, -1)
        assert np.array_equal(batch.actions[i].numpy(), actions)


@pytest.mark.parametrize(("length", "stride"), [(1, 1), (3, 1), (2, 3)])
def test_every_window_lies_in_one_episode(
    cache: FrameCache, length: int, stride: int
) -> None:
    windows = Windows(cache, "train", length, stride, RULE)
    batches = list(windows.batches(16))
    assert sum(len(batch.start) for batch in batches) == len(windows)
    places = {
        place
        for batch in batches
        for place in zip(batch.episode.tolist(), batch.start.tolist(), strict=True)
    }
    assert len(places) == len(windows)
    for batch in batches:
        _assert_true(batch, length, stride)


def test_shapes_are_batch_then_time(cache: FrameCache) -> None:
    batch = Windows(cache, "train", 2, 2, RULE).sample(5, torch.Generator())
    shapes = {k: tuple(v.shape) for k, v in vars(batch).items()}
    assert shapes == {
        "frames": (5, 2, 12, 16, 3),
        "actions": (5, 2, 4),
        "proprio": (5, 2, 3),
        "sim_state": (5, 2, 4),
        "episode": (5,),
        "start": (5,),
    }
    assert batch.frames.dtype == torch.uint8


def test_splits_share_no_episode_and_leave_none_out(cache: FrameCache) -> None:
    episodes = [Windows(cache, split, 1, rule=RULE).episodes for split in SPLITS]
    assert sorted(sum(episodes, ())) == list(range(45))
    assert all(RULE.split_of(i) == "validation" for i in episodes[1])


def test_a_generator_determines_the_sample(cache: FrameCache) -> None:
    windows = Windows(cache, "train", 3)
    first, second, third = (
        windows.sample(32, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first.frames, second.frames)
    assert not torch.equal(first.start, third.start)


def test_every_window_is_equally_likely(cache: FrameCache) -> None:
    windows = Windows(cache, "validation", 3, rule=RULE)
    draws = 400 * len(windows)
    batch = windows.sample(draws, torch.Generator().manual_seed(0))
    keys = batch.episode * 100 + batch.start
    _, counts = torch.unique(keys, return_counts=True)
    assert len(counts) == len(windows)
    chi_square = ((counts - 400) ** 2 / 400).sum().item()
    freedom = len(windows) - 1
    assert chi_square < freedom + 5 * (2 * freedom) ** 0.5


def test_pairs_are_of_one_episode(cache: FrameCache) -> None:
    windows = Windows(cache, "train", 2, rule=RULE)
    numbers = windows.draw_pairs(200, torch.Generator().manual_seed(0))
    batch = windows.at(numbers)
    assert torch.equal(batch.episode[0::2], batch.episode[1::2])
    assert (batch.start[0::2] - batch.start[1::2]).abs().max() > 3


def test_starts_can_be_apart(cache: FrameCache) -> None:
    windows = Windows(cache, "train", 2, rule=RULE)
    starts = torch.cat([batch.start for batch in windows.batches(7, every=2)])
    assert set((starts % 2).tolist()) == {0}
    expected = sum(len(range(0, len(episode(i)) - 1, 2)) for i in windows.episodes)
    assert len(starts) == expected


def test_spread_windows_are_fixed_and_differ(cache: FrameCache) -> None:
    windows = Windows(cache, "train", 3)
    numbers = windows.spread(10)
    assert len(set(numbers.tolist())) == 10
    assert torch.equal(windows.at(numbers).frames, windows.at(numbers).frames)
    with pytest.raises(DatasetError, match=r"count must be in \[1, "):
        windows.spread(len(windows) + 1)


def test_numbers_beyond_the_last_window_are_an_error(cache: FrameCache) -> None:
    windows = Windows(cache, "train", 3)
    with pytest.raises(DatasetError, match=r"window numbers must be in \[0, "):
        windows.at(torch.tensor([0, len(windows)]))


def test_an_unknown_split_lists_the_known(cache: FrameCache) -> None:
    unknown: Split = "valid"  # type: ignore[assignment]
    with pytest.raises(
        DatasetError, match="one of train, validation, test, got 'valid'"
    ):
        Windows(cache, unknown, 3)


def test_windows_longer_than_every_episode_are_an_error(cache: FrameCache) -> None:
    with pytest.raises(DatasetError, match="length=5 x stride=2 .* the longest has 8"):
        Windows(cache, "train", 5, 2)


def test_a_split_without_an_episode_is_an_error(cache: FrameCache) -> None:
    few = dataclasses.replace(
        cache, episodes=cache.episodes[:2], offsets=cache.offsets[:3]
    )
    with pytest.raises(DatasetError, match="is in the split 'test': it has 2 episodes"):
        Windows(few, "test", 1)
