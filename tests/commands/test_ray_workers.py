"""Work over a Ray cluster of two workers on this machine."""

import functools
import sys

import pytest

from benchmarks.kills_runs import COLLECT
from worldmodel.commands import ray_workers
from worldmodel.commands.main import main
from worldmodel.commands.ray_workers import ADDRESS, spread_over_ray
from worldmodel.commands.workers import launch
from worldmodel.data import LeRobotDataset
from worldmodel.errors import OptionError, WorldModelError


def fail(item: int) -> int:
    raise WorldModelError(f"number {item} failed")


@pytest.fixture(scope="module")
def ray():
    """Ray with two workers, started once as `spread_over_ray` does."""
    ray = pytest.importorskip("ray")
    ray_workers._join(ray, 2)
    yield ray
    ray.shutdown()


@pytest.fixture
def calls(ray, monkeypatch):
    """What `spread_over_ray` asks of the cluster that runs already, in order."""
    asked = []
    monkeypatch.setattr(ray_workers, "_join", lambda _, workers: asked.append(workers))
    monkeypatch.setattr(ray, "shutdown", lambda: asked.append("end"))
    return asked


def test_a_collection_is_the_same_as_of_one_process(calls, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = [*COLLECT, "episodes=4"]
    assert main(["collect", "out=ray", *options, "workers=2", "launcher=ray"]) == 0
    assert calls == [2, "end"]
    assert main(["collect", "out=alone", *options, "workers=1"]) == 0
    ray, alone = (LeRobotDataset.open(tmp_path / name) for name in ("ray", "alone"))
    assert ray.fingerprint() == alone.fingerprint()


def test_an_error_in_a_worker_is_passed_on(calls):
    with pytest.raises(WorldModelError, match="number 1 failed"):
        list(spread_over_ray(functools.partial(fail), [1], 1))
    assert calls == [1, "end"]


def test_a_cluster_that_is_not_there_is_named(monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv(ADDRESS, "127.0.0.1:1")
    with pytest.raises(WorldModelError, match=f"Ray cluster at {ADDRESS}=127.0.0.1:1"):
        list(spread_over_ray(functools.partial(fail), [1], 1))


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match=r"pip install worldmodel-planner\[ray\]"):
        list(launch("ray", functools.partial(fail), [1], 1))


@pytest.mark.parametrize("command", ["collect", "practice model=reference goals=b"])
def test_another_launcher_is_refused(command, tmp_path, capsys):
    words = [*command.split(), f"out={tmp_path / 'a'}", "launcher=slurm"]
    assert main(words) == 2
    line = capsys.readouterr().err
    assert "launcher must be one of processes, ray, got 'slurm'" in line
