import pytest

from worldmodel import atomic
from worldmodel.atomic import new_file, new_folder, surviving_folder


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
