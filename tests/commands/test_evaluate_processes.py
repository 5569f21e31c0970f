"""Groups of an evaluation in several processes give the same results.

Ray is handed the same work by the same function, see `test_ray_workers.py`.
"""

import pytest
import torch

from tests.commands.tiny import QUICK, save_tiny_model
from worldmodel.commands import rows
from worldmodel.commands.control import Control
from worldmodel.commands.main import main
from worldmodel.evaluation.results import load_results


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluations")
    model = save_tiny_model(folder / "tiny")
    own = [f"model={model}", f"problems={folder / 'problems'}", "task=reach"]
    own += ["split=validation", "n=3", "group=1", "timing=1", "film=[1]"]
    return ["evaluate", *own, *QUICK]


@pytest.fixture(scope="module")
def alone(words, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone") / "run"
    assert main([*words, f"out={out}"]) == 0
    return out


def test_rows_and_films_are_those_of_one_process(words, alone, tmp_path):
    out = tmp_path / "run"
    assert main([*words, f"out={out}", "processes=2"]) == 0
    found, wanted = (load_results(f / "results.json").rows for f in (out, alone))
    assert [row.method for row in found] == [row.method for row in wanted]
    for row, other in zip(found, wanted, strict=True):
        for episode, same in zip(row.episodes, other.episodes, strict=True):
            assert episode == same
    assert found[1].timing is not None
    films = {path.name: path.read_bytes() for path in (out / "films").iterdir()}
    assert films == {p.name: p.read_bytes() for p in (alone / "films").iterdir()}
    assert not list((out / "rows").glob("*/*"))


def test_workers_start_once_and_each_makes_one_policy_of_each_row(
    words, alone, tmp_path, monkeypatch
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

    monkeypatch.setattr(rows, "launch", launch)
    out = tmp_path / "run"
    assert main([*words, f"out={out}", "processes=2"]) == 0
    # another number of threads gives other last bits
    assert threads == [torch.get_num_threads()]
    assert len(made) == 1
    found, wanted = (load_results(f / "results.json").rows for f in (out, alone))
    assert [r.episodes for r in found] == [r.episodes for r in wanted]


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
