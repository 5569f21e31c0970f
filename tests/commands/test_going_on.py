"""Trainings that are stopped, go on, and go on for longer."""

import pytest

from benchmarks.kills_runs import COLLECT, PRETRAIN, STAGES, TRAIN
from tests.full_disk import no_file_above
from worldmodel.commands.main import main
from worldmodel.commands.training import followed
from worldmodel.commands.training_log import read_log
from worldmodel.errors import WriteError

SHORT = ["episodes=3", "workers=1"]
TWO_STEPS = [f"{stage}.schedule.steps=2" for stage in STAGES]


def run(command: str, *options: str) -> int:
    return main([command, *options])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("data") / "play"
    assert run("collect", f"out={path}", *COLLECT, *SHORT) == 0
    return path


@pytest.fixture(scope="module")
def encoder(data):
    out = data.parent / "pretrain"
    words = [f"data={data}", f"out={out}", *PRETRAIN, "recipe.schedule.steps=2"]
    assert run("pretrain", *words) == 0
    return out / "encoder"


def states(folder):
    return {file.name: file.read_bytes() for file in folder.glob("*.safetensors")}


def test_pretraining_goes_on_for_more_steps_however_often_it_was_stopped(
    data, tmp_path, capsys
):
    left = []
    for name, runs in (("once", (2, 4)), ("often", (2, 2, 4, 4))):
        options = [f"data={data}", f"out={tmp_path / name}", *PRETRAIN]
        for steps in runs:
            assert run("pretrain", *options, f"recipe.schedule.steps={steps}") == 0
        left.append(states(tmp_path / name))
        log = read_log(tmp_path / name / "pretrain.jsonl")
        assert [row["step"] for row in log] == [2, 4]
    assert left[0] == left[1]
    assert "recipe.schedule.steps was 2, is 4" in capsys.readouterr().out
    other = ["recipe.windows=3", "recipe.schedule.steps=2"]
    assert run("pretrain", *options, *other) == 2
    message = "(recipe.windows: 4 there, 3 now; recipe.schedule.steps: 4 there, 2 now)"
    assert f"holds another run {message}" in capsys.readouterr().err


def test_a_longer_stage_makes_those_that_learn_from_it_anew(
    data, encoder, tmp_path, capsys
):
    options = [f"data={data}", f"encoder={encoder}", f"out={tmp_path}"]
    options += [*TRAIN, *TWO_STEPS]
    assert run("train", *options) == 0
    before = states(tmp_path)
    assert set(before) == {"projector.safetensors", "planning.safetensors"}
    assert run("train", *options, "planning.schedule.steps=3") == 0
    longer = states(tmp_path)
    changed = {name for name in before if before[name] != longer[name]}
    assert changed == {"planning.safetensors"}
    more = ["planning.schedule.steps=3", "projector.schedule.steps=3"]
    assert run("train", *options, *more) == 0
    after = states(tmp_path)
    assert all(after[name] != longer[name] for name in longer)
    assert run("train", *options, *more) == 0
    assert states(tmp_path) == after
    assert "projector.schedule.steps was 2, is 3" in capsys.readouterr().out
    assert [row["step"] for row in read_log(tmp_path / "planning.jsonl")] == [3]


def test_a_full_disk_is_one_line_and_training_goes_on_after_it(data, tmp_path, capsys):
    options = [f"data={data}", f"out={tmp_path}", *PRETRAIN, "recipe.schedule.steps=2"]
    with no_file_above(9000):  # the config fits
        assert run("pretrain", *options) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: cannot write {tmp_path / 'state.safetensors'}: ")
    assert shown.count("\n") == 1
    assert run("pretrain", *options) == 0
    assert len(read_log(tmp_path / "pretrain.jsonl")) == 1
    assert not [file for file in tmp_path.rglob(".*") if file.name != ".lock"]


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    log = tmp_path / "stage.jsonl"

    def write_much() -> None:
        with followed("stage", 900, log) as on_step:
            on_step(50, {"total": 1.0})
            with no_file_above(100):
                for step in range(100, 901, 50):
                    on_step(step, {"total": 1.0})

    with pytest.raises(WriteError, match=f"cannot write {log}: File too large"):
        write_much()
    assert read_log(log)[0]["step"] == 50


def test_lines_of_steps_that_are_done_again_are_replaced(tmp_path):
    log = tmp_path / "stage.jsonl"
    row = '{"step": %d, "time": 1.0, "total": 9.0}\n'
    log.write_text(row % 50 + row % 100 + '{"step": 15')
    with followed("stage", 150, log) as on_step:
        for step in range(90, 151):
            on_step(step, {"total": float(step)})
    found = [(row["step"], row["total"]) for row in read_log(log)]
    assert found == [(50, 9.0), (100, 100.0), (150, 150.0)]
    with followed("stage", 150, log):
        pass
    assert len(log.read_text().splitlines()) == 3
