import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from worldmodel.commands import run_folder
from worldmodel.commands.longer import with_earlier_steps
from worldmodel.commands.run_folder import check_sources
from worldmodel.errors import OptionError

ROOT = Path(__file__).parents[2]
HOLD = """
import sys
from omegaconf import OmegaConf
from worldmodel.commands.run_folder import open_run_folder
with open_run_folder("train", OmegaConf.create({"out": sys.argv[1], "steps": 3})):
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def config(**values):
    return OmegaConf.create({"out": None, "steps": 3, "twice": "${steps}"} | values)


def open_run_folder(command, values, stale=None):
    """Opens and closes a folder."""
    with run_folder.open_run_folder(command, values, stale or {}) as opened:
        return opened


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


def recipe(path, steps: object = 10, **values: object):
    schedule = {"steps": steps, "rate": 0.1}
    return config(out=str(path), recipe={"schedule": schedule, "pairs": 10, **values})


def test_another_config_is_refused_and_only_the_difference_shown(tmp_path):
    open_run_folder("train", recipe(tmp_path / "a"))
    message = r"holds another run \(recipe.pairs: 10 there, 11 now\); choose another"
    with pytest.raises(OptionError, match=message):
        open_run_folder("train", recipe(tmp_path / "a", pairs=11))
    message = r"\(recipe.gap: not there, None now\)"
    with pytest.raises(OptionError, match=message):
        open_run_folder("train", recipe(tmp_path / "a", gap=None))


def test_an_option_that_came_later_is_no_difference_while_it_is_null(tmp_path):
    open_run_folder("train", config(out=str(tmp_path / "a")))
    later = {"out": str(tmp_path / "a"), "episodes": None}
    assert open_run_folder("train", config(**later)).is_resumed
    with pytest.raises(OptionError, match=r"\(episodes: None there, 5 now\)"):
        open_run_folder("train", config(**later | {"episodes": 5}))


def test_many_differences_are_counted(tmp_path):
    open_run_folder("train", recipe(tmp_path / "a"))
    more = {f"x{i}": "long" * 99 for i in range(30)}
    with pytest.raises(OptionError, match="and 22 more") as caught:
        open_run_folder("train", recipe(tmp_path / "a", **more))
    assert len(str(caught.value)) < 1000


def test_a_run_goes_on_for_more_steps_and_says_what_that_means(tmp_path, capsys):
    path = tmp_path / "a"
    for steps, earlier in ((10, None), (10, None), (20, [10]), (20, [10])):
        known = with_earlier_steps(recipe(path, steps))
        assert known.recipe.schedule.get("extended_from") == earlier
        open_run_folder("train", known)
    shown = capsys.readouterr().out
    assert shown.startswith("recipe.schedule.steps was 10, is 20: the first 10 steps")
    assert shown.count("\n") == 1
    known = with_earlier_steps(recipe(path, 50))
    assert known.recipe.schedule.extended_from == [10, 20]
    with pytest.raises(OptionError, match=r"schedule.steps: 20 there, 15 now"):
        open_run_folder("train", with_earlier_steps(recipe(path, 15)))


def test_what_learned_from_a_stage_that_goes_on_begins_anew(tmp_path):
    path, stale = tmp_path / "a", {"recipe.schedule.steps": ["later", "absent"]}
    open_run_folder("train", recipe(path), stale)
    for name in ("later", "other"):
        (path / name).touch()
    open_run_folder("train", recipe(path), stale)
    assert (path / "later").exists()
    open_run_folder("train", with_earlier_steps(recipe(path, 11)), stale)
    assert not (path / "later").exists()
    assert (path / "other").exists()


def test_a_folder_is_for_one_process_until_that_is_gone(tmp_path):
    words = [sys.executable, "-c", HOLD, str(tmp_path / "a")]
    with subprocess.Popen(
        words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        wanted = OmegaConf.create({"out": str(tmp_path / "a"), "steps": 3})
        with pytest.raises(OptionError, match="a is in use by another process"):
            open_run_folder("train", wanted)
        holder.kill()
        holder.wait()
        assert open_run_folder("train", wanted).is_resumed


def test_a_folder_that_a_kill_left_without_a_config_is_taken(tmp_path):
    for name in (".lock", ".config.yaml.staging"):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / name).touch()
    assert not open_run_folder("train", config(out=str(tmp_path / "a"))).is_resumed


def test_what_killed_runs_left_half_written_goes(tmp_path):
    run = open_run_folder("train", config(out=str(tmp_path / "a")))
    for name in (".tmpAbC123", ".state.safetensors.staging", "state.safetensors"):
        (run.path / name).touch()
    open_run_folder("train", config(out=str(tmp_path / "a")))
    names = sorted(file.name for file in run.path.iterdir())
    assert names == [".lock", "config.yaml", "state.safetensors"]


def test_a_run_does_not_go_on_with_other_inputs(tmp_path):
    sources = {"data": "a", "encoder": "b", "practice": ["c"], "projector": None}
    check_sources(tmp_path, sources)
    check_sources(tmp_path, sources)
    with pytest.raises(OptionError, match="other contents of data, practice than"):
        check_sources(tmp_path, {**sources, "data": "z", "practice": []})
    check_sources(tmp_path, sources)


def test_another_command_is_refused(tmp_path):
    open_run_folder("train", config(out=str(tmp_path / "a")))
    with pytest.raises(OptionError, match="command: train there, collect now"):
        open_run_folder("collect", config(out=str(tmp_path / "a")))


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(OptionError, match="is no folder of a run"):
        open_run_folder("train", config(out=str(tmp_path)))
