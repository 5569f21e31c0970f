import builtins
import importlib.util
import json

import pytest
from PIL import Image

from worldmodel.commands import training, training_log
from worldmodel.commands.training import finish_training, followed
from worldmodel.commands.training_log import TrainingLog, plot_losses, read_log

HAS_EVENTS = importlib.util.find_spec("tensorboard") is not None
HAS_PLOTS = importlib.util.find_spec("matplotlib") is not None


def without(monkeypatch, *missing):
    """Makes some packages seem not to be installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        training_log.importlib.util,
        "find_spec",
        lambda name: None if name in missing else find(name),
    )
    load = builtins.__import__

    def refuse(name, *rest, **named):
        if name.partition(".")[0] in missing:
            raise ImportError(name)
        return load(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)


def write(path, steps):
    with TrainingLog(path) as log:
        for step in steps:
            log.write(step, {"total": 1 / step, "proprio": 0.5})


def steps_of(path):
    return [row["step"] for row in read_log(path)]


def test_the_terms_of_every_step_come_back(tmp_path):
    write(tmp_path / "habit.jsonl", [50, 100])
    rows = read_log(tmp_path / "habit.jsonl")
    assert [(row["step"], row["total"]) for row in rows] == [(50, 0.02), (100, 0.01)]
    assert set(rows[0]) == {"step", "time", "total", "proprio"}


def test_a_run_that_goes_on_repeats_no_step(tmp_path, monkeypatch):
    without(monkeypatch, "tensorboard")
    path = tmp_path / "habit.jsonl"
    write(path, [50, 100, 150])
    with path.open("a") as file:
        file.write('{"step": 200, "ti')  # killed here, the state saved at step 80
    write(path, [100, 150, 200])
    assert steps_of(path) == [50, 100, 150, 200]
    write(path, [200])  # killed after the last step, before its state was saved
    assert steps_of(path) == [50, 100, 150, 200]
    write(path, [])
    assert steps_of(path) == [50, 100, 150, 200]


@pytest.mark.skipif(not HAS_EVENTS, reason="needs worldmodel-planner[tensorboard]")
def test_tensorboard_shows_every_step_once(tmp_path):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    path = tmp_path / "habit.jsonl"
    write(path, [50, 100, 150])
    write(path, [100, 150])
    found = []
    for file in (tmp_path / "tensorboard" / "habit").iterdir():
        for event in EventFileLoader(str(file)).Load():
            found += [(value.tag, event.step) for value in event.summary.value]
    wanted = [(tag, step) for step in (50, 100, 150) for tag in ("total", "proprio")]
    assert found == wanted


def test_without_tensorboard_there_is_the_log_alone(tmp_path, monkeypatch):
    without(monkeypatch, "tensorboard")
    write(tmp_path / "habit.jsonl", [50])
    assert [path.name for path in tmp_path.iterdir()] == ["habit.jsonl"]


@pytest.mark.skipif(not HAS_PLOTS, reason="needs worldmodel-planner[plots]")
def test_the_losses_of_every_stage_are_drawn(tmp_path):
    write(tmp_path / "habit.jsonl", [50, 100])
    assert plot_losses(tmp_path, tmp_path / "losses.png") == tmp_path / "losses.png"
    with Image.open(tmp_path / "losses.png") as image:
        one = image.height
    write(tmp_path / "distance.jsonl", [50])
    plot_losses(tmp_path, tmp_path / "losses.png")
    with Image.open(tmp_path / "losses.png") as image:
        assert image.height > 1.8 * one


def test_without_matplotlib_a_line_says_what_to_install(tmp_path, monkeypatch, capsys):
    without(monkeypatch, "matplotlib", "tensorboard")
    write(tmp_path / "habit.jsonl", [50])
    finish_training(tmp_path, "train")
    shown = capsys.readouterr().out
    assert shown == "losses.png is not drawn: pip install worldmodel-planner[plots]\n"
    assert not (tmp_path / "losses.png").exists()
    assert "(habit.jsonl)" in (tmp_path / "README.md").read_text()


def test_followed_logs_every_fiftieth_step_and_the_last(tmp_path, monkeypatch):
    without(monkeypatch, "tensorboard")
    monkeypatch.setattr(training, "_LOG_EVERY", 3)
    with followed("habit", 7, tmp_path / "habit.jsonl") as on_step:
        for step in range(1, 8):
            on_step(step, {"total": 1.0})
    lines = (tmp_path / "habit.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [3, 6, 7]
