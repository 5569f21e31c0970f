"""Pretraining by two processes, on a CPU: what one makes of the same batches."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.kills_runs import PRETRAIN
from tests.commands.exactly import exactly
from tests.data.lerobot_like import Made, write
from worldmodel.checkpoints.encoders import load_encoder
from worldmodel.commands.main import main
from worldmodel.commands.training_log import TrainingLog

ROOT = Path(__file__).parents[2]
ROUNDING = 1e-5  # relative; what sums in another order grow to in so few steps


def options(folder: Path, steps: int) -> list[str]:
    data = [f"data={folder / 'data'}"]
    schedule = [f"steps={steps}", "save_every=0", "warmup=1", "clip=1e9"]
    schedule += ["learning_rate=0.1"]
    rest = ["recipe.clips=2", "recipe.model.proprio=2", "recipe.model.moves=2"]
    rest += [f"recipe.schedule.{setting}" for setting in schedule]
    return [*data, *PRETRAIN, *rest]


def losses(folder: Path) -> list[dict[str, float]]:
    rows = [
        json.loads(line)
        for line in (folder / "pretrain.jsonl").read_text().splitlines()
    ]
    return [{k: v for k, v in row.items() if k != "time"} for row in rows]


def assert_alike(one: Path, other: Path) -> None:
    for mine, theirs in zip(losses(one), losses(other), strict=True):
        assert mine == pytest.approx(theirs, rel=ROUNDING, abs=ROUNDING)
    weights = load_encoder(other / "encoder")[0].state_dict()
    for name, value in load_encoder(one / "encoder")[0].state_dict().items():
        torch.testing.assert_close(
            value, weights[name], rtol=ROUNDING, atol=0.1 * ROUNDING
        )


def test_two_processes_train_the_encoder_of_one(tmp_path, monkeypatch, capsys):
    exactly(monkeypatch.setattr)
    write(tmp_path / "data", Made(lengths=(12, 9, 12, 10, 12, 8), width=32))
    one, two = tmp_path / "one", tmp_path / "two"
    assert main(["pretrain", *options(tmp_path, 6), f"out={one}"]) == 0

    def killed(log: TrainingLog, step: int, terms: dict[str, float]) -> None:
        log_write(log, step, terms)
        if step == 2:
            raise KeyboardInterrupt

    log_write = TrainingLog.write
    with monkeypatch.context() as patched:  # one process begins
        patched.setattr(TrainingLog, "write", killed)
        assert main(["pretrain", *options(tmp_path, 6), f"out={two}"]) == 130
    torchrun = ["torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = ["-m", *torchrun, "-m", "tests.commands.exactly", "pretrain"]
    given = [*options(tmp_path, 6), f"out={two}"]
    done = subprocess.run(  # two go on
        [sys.executable, *command, *given],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the encoder is in") == 1
    assert [row["step"] for row in losses(two)] == [1, 2, 3, 4, 5, 6]
    assert_alike(two, one)
    for folder in (one, two):  # and one for longer
        assert main(["pretrain", *options(tmp_path, 8), f"out={folder}"]) == 0
    assert_alike(two, one)


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torchrun tells the first of three processes."""
    told = {"WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "3", "RANK": "0", "LOCAL_RANK": "0"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ["pretrain", "recipe.pairs=4"],
            "recipe.pairs=4 give a batch of 8, which 3 pr",
        ),
        (
            ["pretrain", "recipe.pairs=3"],
            "recipe.clips=2 give a batch of 2, which 3 pr",
        ),
        (["pretrain", "recipe.pairs=3", "recipe.clips=3"], "out= must name the run fo"),
        (
            ["pretrain", "recipe.pairs=3", "recipe.clips=3", "device=cuda:1", "out=o"],
            "device must be auto, cpu or cuda for several processes, got 'cuda:1'",
        ),
        (["train", "encoder=e"], "train runs in one process, only pretrain in several"),
    ],
)
def test_what_several_processes_cannot_do_is_one_line(given, message, capsys):
    assert main([*given, "data=none"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
