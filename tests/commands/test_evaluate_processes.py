"""Groups of an evaluation in several processes give the same results.

Ray is handed the same work by the same function, see `test_ray_workers.py`.
"""

from pathlib import Path

import pytest
import torch

from tests.commands.tiny import QUICK, save_tiny_model
from worldmodel.commands import rows
from worldmodel.commands.control import Control
from worldmodel.commands.main import main
from worldmodel.data import LeRobotDataset
from worldmodel.evaluation.results import load_results

pytestmark = pytest.mark.usefixtures("short")
ADAPTER = f"{Path(__file__).parents[1] / 'evaluation/adapters/pusher.py'}:Pusher"
FEW = ["split=validation", "n=2", "group=1", "timing=2", "film=[1]", *QUICK]


@pytest.fixture
def words(tmp_path):
    model = save_tiny_model(tmp_path / "tiny")
    saved = f"problems={tmp_path / 'problems'}"
    return ["evaluate", f"model={model}", saved, "task=reach", *FEW]


def test_rows_and_films_of_two_processes_are_those_of_one(tmp_path):
    play, model = tmp_path / "play", tmp_path / "tiny"
    env = ["env=PointPusher-v0", f"adapter={ADAPTER}"]
    size = ["height=32", "width=32", "episodes=60", "seed=1", "workers=1"]
    assert main(["collect", *env, f"out={play}", *size]) == 0
    save_tiny_model(model, LeRobotDataset.open(play).spec.action_spec)
    words = [f"model={model}", *env, f"goals={play}", "ahead=10", "budget=4", *FEW]
    alone, out = tmp_path / "alone", tmp_path / "run"
    assert main(["evaluate", *words, f"out={alone}"]) == 0
    assert main(["evaluate", *words, f"out={out}", "processes=2"]) == 0
    found, wanted = (load_results(f / "results.json").rows for f in (out, alone))
    assert [row.method for row in found] == [row.method for row in wanted]
    for row, other in zip(found, wanted, strict=True):
        for episode, same in zip(row.episodes, other.episodes, strict=True):
            assert episode == same
    assert found[1].timing is not None
    films = [sorted(p.name for p in (f / "films").iterdir()) for f in (out, alone)]
    assert films[0] == films[1]  # those of the workers are larger, as they are told to
    assert not list((out / "rows").glob("*/*"))


def test_workers_start_once_and_each_makes_one_policy_of_each_row(
    words, tmp_path, monkeypatch
):
    threads, made, make = [], [], Control.policy

    def policy(control, arena):
        made.append(arena)
        return make(control, arena)

    def launch(launcher, work, items, workers):
        """Stands for one worker."""
        threads.append(work.args[0][-1])
        monkeypatch.setattr(Control, "policy", policy)
        yield from map(work, items)

    words = [*words, "scene.light=0.6"]  # in which workers are, too
    alone, out = tmp_path / "alone", tmp_path / "run"
    assert main([*words, f"out={alone}"]) == 0
    monkeypatch.setattr(rows, "launch", launch)
    assert main([*words, f"out={out}", "processes=2"]) == 0
    # another number of threads gives other last bits
    assert threads == [torch.get_num_threads()]
    assert len(made) == 1
    found, wanted = (load_results(f / "results.json").rows for f in (out, alone))
    assert [r.episodes for r in found] == [r.episodes for r in wanted]
    films = {path.name: path.read_bytes() for path in (out / "films").iterdir()}
    assert films == {p.name: p.read_bytes() for p in (alone / "films").iterdir()}


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ("processes=0", "processes must be a whole number in [1, 256]"),
        ("launcher=slurm", "launcher must be one of processes, ray, got 'slurm'"),
    ],
)
def test_bad_options_are_one_line(words, option, error, tmp_path, capsys):
    assert main([*words, f"out={tmp_path / 'run'}", option]) == 2
    assert error in capsys.readouterr().err
