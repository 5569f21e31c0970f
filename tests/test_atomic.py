import os
import stat

import numpy as np
import pytest

from tests.full_disk import no_file_above
from worldmodel.data.mapped import new_mapped
from worldmodel.errors import WriteError
from worldmodel.files import atomic
from worldmodel.files.atomic import (
    new_file,
    new_folder,
    remove_leftovers,
    surviving_folder,
    writing,
)


class Killed(BaseException):
    """Stands for the process ending here."""


def write(path, text):
    with new_folder(path) as folder:
        (folder / "content").write_text(text)


def test_a_file_appears_with_its_folder(tmp_path):
    with new_file(tmp_path / "deep" / "file") as staging:
        staging.write_text("new")
    assert (tmp_path / "deep" / "file").read_text() == "new"
    assert [f.name for f in (tmp_path / "deep").iterdir()] == ["file"]


def test_a_failed_file_keeps_the_old_one(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(Killed), new_file(path) as staging:
        staging.write_text("ne")
        raise Killed
    assert path.read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["file"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "folder"
    write(path, "old")
    (path / "extra").touch()
    write(path, "new")
    assert [f.name for f in path.iterdir()] == ["content"]
    assert (path / "content").read_text() == "new"
    assert [f.name for f in tmp_path.iterdir()] == ["folder"]


def test_a_failed_folder_keeps_the_old_one(tmp_path):
    path = tmp_path / "folder"
    write(path, "old")
    with pytest.raises(Killed), new_folder(path) as folder:
        (folder / "content").write_text("ne")
        raise Killed
    assert (surviving_folder(path) / "content").read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["folder"]


def test_the_old_folder_survives_a_kill_between_the_renames(tmp_path, monkeypatch):
    path = tmp_path / "folder"
    write(path, "old")
    rename = atomic.os.rename

    def rename_once(source, target):
        if target == path:
            raise Killed
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "rename", rename_once)
        with pytest.raises(Killed):
            write(path, "new")
    assert not path.exists()
    assert (surviving_folder(path) / "content").read_text() == "old"
    write(path, "newer")
    assert (surviving_folder(path) / "content").read_text() == "newer"
    assert [f.name for f in tmp_path.iterdir()] == ["folder"]


def test_what_a_killed_process_staged_is_not_mixed_in(tmp_path):
    path = tmp_path / "folder"
    stale = tmp_path / ".folder.staging"
    stale.mkdir()
    (stale / "stale").touch()
    write(path, "new")
    assert [f.name for f in path.iterdir()] == ["content"]


WRITERS = {
    "plain": lambda path: path.write_bytes(b"0" * 9999),
    "numpy": lambda path: np.save(path.open("wb"), np.zeros(9999)),
    "mapped": lambda path: new_mapped(path, np.float32, (9999,)),
}


@pytest.mark.filterwarnings("ignore:unclosed file")
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_an_error_in_writing_names_the_file_and_keeps_the_old_one(write, tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    message = f"cannot write {path}: .*; make room"
    with (
        no_file_above(4096),
        pytest.raises(WriteError, match=message),
        new_file(path) as staging,
    ):
        write(staging)
    assert path.read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["file"]


def test_an_error_in_writing_a_folder_names_it(tmp_path):
    write(tmp_path / "folder", "old")
    message = "cannot write .*folder: File too large"
    with no_file_above(4096), pytest.raises(WriteError, match=message):
        write(tmp_path / "folder", "new" * 9999)
    assert (tmp_path / "folder" / "content").read_text() == "old"


def test_an_error_about_another_file_stays_as_it_is(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="elsewhere"),
        writing(tmp_path / "file"),
    ):
        (tmp_path / "elsewhere").read_text()


def test_a_mapped_array_is_read_back(tmp_path):
    array = new_mapped(tmp_path / "a.npy", "f4", (3, 2))
    array[:] = np.arange(6).reshape(3, 2)
    array.flush()
    assert np.load(tmp_path / "a.npy").tolist() == [[0, 1], [2, 3], [4, 5]]


def test_leftovers_go_and_nothing_else_does(tmp_path):
    keep = ["state", ".hidden", "deep/state", "shared/lock", "shared/.file.staging"]
    keep += [".gone.replaced/config", ".tmpl", ".lock"]
    drop = [".state.staging", ".tmpaB3xYz", "deep/.tmp123456", "deep/.a.staging/x"]
    drop += [".state.replaced/x"]
    for name in keep + drop:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    found = {str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*") if f.is_file()}
    assert found == set(keep)


def test_files_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        with new_file(tmp_path / "file") as staging:
            staging.write_text("x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
