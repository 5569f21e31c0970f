"""Decoded frames of a dataset that nobody may write to."""

import errno
from pathlib import Path

import pytest

from worldmodel.data import DatasetError, FrameCache, LeRobotDataset, cache_place
from worldmodel.data.cache_place import cache_folder, user_cache


@pytest.fixture
def read_only(dataset: LeRobotDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dataset's folder takes no files: as a root's tests cannot have it on disk."""
    attempt = cache_place._try_to_write

    def refuse(folder: Path) -> None:
        if folder.is_relative_to(dataset.path):
            raise OSError(errno.EROFS, "Read-only file system", str(folder))
        attempt(folder)

    monkeypatch.setattr(cache_place, "_try_to_write", refuse)


def test_the_cache_is_beside_the_dataset_where_it_can(dataset: LeRobotDataset) -> None:
    assert cache_folder(dataset) == dataset.path / ".cache"


def test_a_chosen_folder_holds_caches_of_many(
    dataset: LeRobotDataset, tmp_path: Path
) -> None:
    folder = cache_folder(dataset, tmp_path)
    assert folder == tmp_path / dataset.fingerprint()[:16]
    cache = FrameCache.open(dataset, folder / "frames")
    assert cache.path.is_relative_to(tmp_path)


@pytest.mark.usefixtures("read_only")
def test_a_read_only_dataset_is_cached_in_the_users_folder(
    dataset: LeRobotDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder(dataset).parent == tmp_path / "worldmodel"


def test_the_users_folder_is_under_home_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert user_cache() == tmp_path / ".cache" / "worldmodel"


def test_a_chosen_folder_that_takes_nothing_is_named(
    dataset: LeRobotDataset, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match=r"file/.* name another folder with cache="):
        cache_folder(dataset, tmp_path / "file")
