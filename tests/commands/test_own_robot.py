"""What docs/own_robot.md says works as it stands, on a small env."""

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands.test_foreign_training import SMALL_PRETRAIN, SMALL_TRAIN
from tests.commands.tiny import QUICK
from worldmodel.commands.main import main
from worldmodel.evaluation.results import load_results

TEXT = (Path(__file__).parents[2] / "docs" / "own_robot.md").read_text()
ENV = Path(__file__).parents[1] / "evaluation" / "adapters" / "pusher_env.py"
MODEL = "runs/train/pusher/model"


def block(name: str) -> str:
    """Gives a fenced block of the document by what stands behind its backticks."""
    found = re.search(rf"```{name}\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with the env's module and the document's adapter, to work in."""
    (tmp_path / "pusher_env.py").write_text(ENV.read_text())
    (tmp_path / "pusher.py").write_text(block("python adapter"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("pusher", "pusher_env"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


@pytest.mark.usefixtures("short")
@pytest.mark.filterwarnings("ignore:.*Overriding environment PointPusher-v0")
def test_from_an_env_to_a_table_and_a_film_as_the_document_says(desk, capsys):
    record = shlex.split(block("bash record"))[1:]
    assert main([*record, "workers=1", "episodes=60", "seed=1"]) == 0
    data = "data=data/pusher"
    assert main(["pretrain", data, "out=pre", *SMALL_PRETRAIN]) == 0
    options = ["encoder=pre/encoder", "out=runs/train/pusher"]
    assert main(["train", data, *options, *SMALL_TRAIN]) == 0
    lines = [shlex.split(line) for line in block("bash commands").splitlines()]
    few = [*QUICK, "proposals=0"]
    evaluate, plan, practice = [line[1:] for line in lines]
    assert main([*evaluate, *few, "budget=4", "n=3", "timing=2"]) == 0
    assert "starts that are solved already left out" in capsys.readouterr().out
    floor, method = load_results(Path("runs/evaluate/pusher/results.json")).rows
    assert method.protocol.task == "PointPusher-v0"
    assert method.protocol.budget == 4
    assert list(method.episodes[0].final) == ["disc [m]"]
    assert min(episode.start_distance for episode in floor.episodes) > 0.05
    assert list(Path("runs/evaluate/pusher/films").glob("*.mp4"))
    assert "| PointPusher-v0 |" in Path("runs/evaluate/pusher/table.md").read_text()
    (problems,) = Path("runs/evaluate/pusher/problems").glob("*/problems.npz")
    with np.load(problems) as stored:
        Image.fromarray(stored["goal_images"][0]).save("goal.png")
    assert main([*plan, *few, "budget=4"]) == 0
    assert Path("runs/plan/pusher/plan.mp4").is_file()
    short = [f"rules.{name}" for name in ("group=2", "steps=8", "shortest=2")]
    short += ["rules.longest=3", "episodes=2", "workers=1"]
    assert main([*practice, *few, *short]) == 0
    options = ["encoder=pre/encoder", "practice=[data/pusher_practice]", "out=again"]
    assert main(["train", data, *options, *SMALL_TRAIN]) == 0


def test_the_adapter_of_the_document_is_short():
    code = [line for line in block("python adapter").splitlines() if line.strip()]
    assert len(code) <= 15
