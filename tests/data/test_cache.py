import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.data.synthetic import dataset_spec, episode
from worldmodel.data import DatasetError, DatasetWriter, FrameCache, LeRobotDataset
from worldmodel.data.cache import episode_rows


@pytest.fixture
def play(tmp_path: Path) -> LeRobotDataset:
    with DatasetWriter(tmp_path / "play", dataset_spec()) as writer:
        for index in range(4):
            writer.add(index, episode(index))
    return LeRobotDataset.open(tmp_path / "play")


def _made(dataset: LeRobotDataset) -> list[int]:
    """Opens the cache and gives the episodes that were decoded for it."""
    done: list[int] = []
    FrameCache.open(dataset, progress=lambda some, _: done.append(some))
    return done


def test_the_cache_holds_every_row(play: LeRobotDataset) -> None:
    cache = FrameCache.open(play)
    for index in range(4):
        rows, one = episode_rows(cache, index), episode(index)
        assert np.array_equal(cache.frames[rows], one.frames)
        assert np.array_equal(cache.actions[rows], one.actions)
        assert np.array_equal(cache.proprio[rows], one.proprio)
        assert np.array_equal(cache.sim_state[rows], one.sim_state)
    assert cache.lengths.tolist() == [len(episode(i)) for i in range(4)]
    assert cache.fingerprint == play.fingerprint()


def test_frames_are_found_by_row(play: LeRobotDataset) -> None:
    cache = FrameCache.open(play)
    rows = torch.tensor([[3, 0], [11, 3]])
    found = cache.frames_at(rows)
    assert found.shape == (2, 2, 12, 16, 3)
    assert np.array_equal(found.numpy(), cache.frames[rows.numpy()])
    with pytest.raises(DatasetError, match=r"rows must be in \[0, 22\), got -1 to 2"):
        cache.frames_at(torch.tensor([-1, 2]))


def test_the_cache_is_made_once(play: LeRobotDataset) -> None:
    assert _made(play) == [1, 2, 3, 4]
    assert _made(play) == []


def test_a_dataset_that_grew_is_decoded_again(play: LeRobotDataset) -> None:
    _made(play)
    with DatasetWriter(play.path, dataset_spec()) as writer:
        writer.add(4, episode(4))
    assert _made(LeRobotDataset.open(play.path)) == [1, 2, 3, 4, 5]


def test_a_deleted_cache_is_made_again(play: LeRobotDataset) -> None:
    cache = FrameCache.open(play)
    shutil.rmtree(cache.path)
    assert np.array_equal(FrameCache.open(play).frames, cache.frames)


@pytest.mark.parametrize("name", ["cache.json", "frames.npy", "offsets.npy"])
def test_a_torn_cache_is_made_again(play: LeRobotDataset, name: str) -> None:
    file = FrameCache.open(play).path / name
    file.write_bytes(file.read_bytes()[:-20])
    assert _made(play) == [1, 2, 3, 4]


def test_a_failure_leaves_no_cache(play: LeRobotDataset) -> None:
    file = play.path / "data/chunk-000/file-000.parquet"
    content = bytearray(file.read_bytes())
    content[content.rindex(b"IDAT") + 30] ^= 1
    file.write_bytes(content)
    with pytest.raises(DatasetError, match="episode 3"):
        FrameCache.open(play)
    assert [entry.name for entry in (play.path / ".cache").iterdir()] == ["frames.lock"]


def test_a_full_disk_is_named_before_it_is_full(
    play: LeRobotDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    with pytest.raises(
        DatasetError,
        match=r"need [\d.]+ kB at .* 0 bytes are free: .* cache=",
    ):
        FrameCache.open(play)


def test_an_unknown_episode_is_an_error(play: LeRobotDataset) -> None:
    with pytest.raises(DatasetError, match="has no episode 9"):
        episode_rows(FrameCache.open(play), 9)
