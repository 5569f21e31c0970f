"""Pretraining by two processes, on a CPU: what one makes of the same batches."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.kills_runs import ENCODER, PRETRAIN
from tests.commands.exactly import exactly
from tests.data.lerobot_like import Made, write
from worldmodel.checkpoints.encoders import load_encoder, load_projector
from worldmodel.commands.main import main
from worldmodel.commands.training_log import TrainingLog

ROOT = Path(__file__).parents[2]
ROUNDING = 1e-5  # relative; what sums in another order grow to in so few steps


SIDE = 32  # [px]
EXACT = ("save_every=0", "warmup=1", "clip=1e9", "learning_rate=0.1")
PLAIN = (
    *("recipe=plain", "recipe.windows=4", "recipe.model.targets=2", "device=cpu"),
    *("recipe.augment.colour=0.5", "recipe.augment.shift=0.5"),
    *(f"{ENCODER}.{key}={SIDE}" for key in ("height", "width")),
    *(f"{ENCODER}.{key}=16" for key in ("dim", "cell_dim")),
    *(f"{ENCODER}.heads=2", f"{ENCODER}.depth=1", f"{ENCODER}.points=2"),
)
TABLETOP = PRETRAIN


def command(recipe: tuple[str, ...], out: Path, steps: int) -> list[str]:
    options = [f"data={out.parent / 'data'}", f"out={out}", *recipe]
    options += ["recipe.clips=2", "recipe.model.proprio=2"]
    schedule = (*EXACT, f"steps={steps}")
    options += [f"recipe.schedule.{setting}" for setting in schedule]
    return ["pretrain", *options]


def losses(folder: Path) -> list[dict[str, float]]:
    rows = [
        json.loads(line)
        for line in (folder / "pretrain.jsonl").read_text().splitlines()
    ]
    return [{k: v for k, v in row.items() if k != "time"} for row in rows]


def weights(encoder: Path) -> dict[str, torch.Tensor]:
    """Of the encoder and of the projector that learned with it, if any."""
    parts = {"encoder": load_encoder(encoder)[0], "projector": load_projector(encoder)}
    return {
        f"{name}.{key}": value
        for name, part in parts.items()
        if part is not None
        for key, value in part.state_dict().items()
    }


def assert_alike(one: Path, other: Path) -> None:
    for mine, theirs in zip(losses(one), losses(other), strict=True):
        assert mine == pytest.approx(theirs, rel=ROUNDING, abs=ROUNDING)
    torch.testing.assert_close(
        weights(one / "encoder"),
        weights(other / "encoder"),
        rtol=ROUNDING,
        atol=0.1 * ROUNDING,
    )


def by_two(*commands: list[str]) -> None:
    """Runs commands, each by the same two processes."""
    torchrun = ["torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    words = ["-m", *torchrun, "-m", "tests.commands.exactly"]
    done = subprocess.run(
        [sys.executable, *words, *map(json.dumps, commands)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the encoder is in") == len(commands)


def test_two_processes_train_the_encoder_of_one(tmp_path, monkeypatch, capsys):
    exactly(monkeypatch.setattr)
    write(tmp_path / "data", Made(lengths=(12, 9, 12, 10, 12, 8), width=SIDE))
    one, two = tmp_path / "one", tmp_path / "two"
    assert main(command(PLAIN, one, 6)) == 0

    def killed(log: TrainingLog, step: int, terms: dict[str, float]) -> None:
        log_write(log, step, terms)
        if step == 2:
            raise KeyboardInterrupt

    log_write = TrainingLog.write
    with monkeypatch.context() as patched:  # one process begins
        patched.setattr(TrainingLog, "write", killed)
        assert main(command(PLAIN, two, 6)) == 130
    tabletop = [tmp_path / f"tabletop-{name}" for name in ("one", "two")]
    by_two(command(PLAIN, two, 6), command(TABLETOP, tabletop[1], 2))  # two go on
    assert [row["step"] for row in losses(two)] == [1, 2, 3, 4, 5, 6]
    assert_alike(two, one)
    assert main(command(TABLETOP, tabletop[0], 2)) == 0
    assert_alike(*tabletop)
    for folder in (one, two):  # and one for longer
        assert main(command(PLAIN, folder, 8)) == 0
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
        (["windows=4"], "recipe.windows=4 give a batch of 4, which 3 processes cann"),
        (["windows=6"], "recipe.clips=2 give a batch of 2, which 3 processes cannot"),
        (["windows=6", "clips=9"], "out= must name the run folder that the process"),
    ],
)
def test_a_batch_must_divide_by_the_processes(given, message, capsys):
    options = [f"recipe.{option}" for option in given]
    assert main(["pretrain", "data=none", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["recipe.windows=4"], "recipe.windows=4 give a batch of 4, which 3 processe"),
        (["recipe.windows=3"], "recipe.clips=2 give a batch of 2, which 3 processes"),
        (
            ["recipe.windows=3", "recipe.clips=3", "device=cuda:1", "out=o"],
            "device must be auto, cpu or cuda for several processes, got 'cuda:1'",
        ),
    ],
)
def test_the_tabletops_too(given, message, capsys):
    assert main(["pretrain", "data=none", "recipe=tabletop", *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.usefixtures("three")
def test_train_runs_in_one_process(capsys):
    assert main(["train", "data=none", "encoder=e"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "train runs in one process, only pretrain in several" in line
