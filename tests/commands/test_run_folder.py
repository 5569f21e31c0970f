import pytest
from omegaconf import OmegaConf

from worldmodel.commands.run_folder import check_sources, open_run_folder
from worldmodel.errors import OptionError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def config(**values):
    return OmegaConf.create({"out": None, "steps": 3, "twice": "${steps}"} | values)


def test_without_out_every_run_gets_its_own_folder():
    first = open_run_folder("train", config())
    second = open_run_folder("train", config())
    assert first.path != second.path
    assert first.path.parent == second.path.parent
    assert first.path.parent.as_posix() == "runs/train"
    assert not first.is_resumed
    assert not second.is_resumed


def test_the_resolved_config_is_saved(tmp_path):
    run = open_run_folder("train", config(out=str(tmp_path / "a")))
    saved = OmegaConf.load(run.path / "config.yaml")
    assert saved == {"command": "train", "steps": 3, "twice": 3}


def test_the_same_command_goes_on_in_its_folder(tmp_path):
    first = open_run_folder("train", config(out=str(tmp_path / "a")))
    (first.path / "state").write_text("kept")
    again = open_run_folder("train", config(out=str(tmp_path / "a")))
    assert again.is_resumed
    assert (again.path / "state").read_text() == "kept"


def test_another_config_is_refused_and_the_difference_shown(tmp_path):
    open_run_folder("train", config(out=str(tmp_path / "a"), twice=1))
    changed = config(out=str(tmp_path / "a"), twice=1, steps=4)
    with pytest.raises(OptionError, match="steps was 3, is 4"):
        open_run_folder("train", changed)
    assert open_run_folder("train", changed, may_change=["steps"]).is_resumed


def test_a_run_does_not_go_on_with_other_inputs(tmp_path):
    sources = {"data": "a", "encoder": "b", "practice": ["c"], "projector": None}
    check_sources(tmp_path, sources)
    check_sources(tmp_path, sources)
    with pytest.raises(OptionError, match="other contents of data, practice than"):
        check_sources(tmp_path, {**sources, "data": "z", "practice": []})
    check_sources(tmp_path, sources)


def test_another_command_is_refused(tmp_path):
    open_run_folder("train", config(out=str(tmp_path / "a")))
    with pytest.raises(OptionError, match="command was train, is collect"):
        open_run_folder("collect", config(out=str(tmp_path / "a")))


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(OptionError, match="is no folder of a run"):
        open_run_folder("train", config(out=str(tmp_path)))
