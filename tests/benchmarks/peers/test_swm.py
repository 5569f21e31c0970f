"""Their protocol in a fake of their `World`."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from benchmarks.peers import swm
from benchmarks.peers.sources import source


class World:
    """Solves what begins at an even step; may break off."""

    breaks_at = -1
    made: list[tuple[int, int]] = []  # noqa: RUF012 (cleared by each test)

    def __init__(self, env: str, envs: int, side: Any, max_episode_steps: int) -> None:
        assert (env, side, max_episode_steps) == ("swm/PushT-v1", (224, 224), 100)
        self.envs = envs

    def set_policy(self, policy: int) -> None:
        self.made.append((policy, self.envs))

    def evaluate(self, **options: Any) -> dict[str, Any]:
        if len(self.made) - 1 == self.breaks_at:
            raise OSError("no space left")
        assert (options["goal_offset"], options["eval_budget"]) == (25, 50)
        print("what their solver prints", file=sys.stdout)  # noqa: T201
        return {"episode_successes": [i % 2 == 0 for i in options["start_steps"]]}

    def close(self) -> None:
        """Has nothing to close."""


@pytest.fixture(autouse=True)
def peer(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("stable_worldmodel")
    parts = {
        "World": World,
        "policy": SimpleNamespace(RandomPolicy=lambda seed: seed),
        "data": SimpleNamespace(load_dataset=lambda path: path),
    }
    for name, part in parts.items():
        setattr(module, name, part)
    monkeypatch.setitem(sys.modules, "stable_worldmodel", module)
    monkeypatch.setitem(sys.modules, "stable_worldmodel.envs", ModuleType("envs"))
    monkeypatch.setattr(World, "made", [])


def options(folder: Path, **more: Any) -> Namespace:
    usual = {"method": "random", "model": None, "n": 5, "of": 6, "group": 2}
    return Namespace(data=folder, out=folder, **(usual | more))


def test_groups_get_policies_of_their_own_and_a_break_costs_one_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, out = source("pusht"), tmp_path / "random.json"
    solved = [False] * 5 + [True]
    told = {"episodes": [0] * 6, "steps": [0, 1, 2, 3, 4, 5], "solved": solved}
    (tmp_path / "starts.json").write_text(json.dumps(told))
    starts = swm.prepare_starts(known, tmp_path / "train.h5", options(tmp_path))
    assert starts.steps == [0, 1, 2, 3, 4]
    monkeypatch.setattr(World, "breaks_at", 1)
    with pytest.raises(OSError, match="no space left"):
        swm.evaluate(known, options(tmp_path), starts, out)
    monkeypatch.setattr(World, "breaks_at", -1)
    found = swm.evaluate(known, options(tmp_path), starts, out)
    assert found.successes == (True, False, True, False, True)
    assert World.made == [(42, 2), (44, 2), (44, 2), (46, 1)]
    assert json.loads(out.read_text())["solved_at_start"] == 0


def test_a_method_that_learned_needs_its_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--method lewm needs --model FOLDER"):
        swm.evaluate(
            source("pusht"),
            options(tmp_path, method="lewm"),
            swm.Starts([0], [0], [False]),
            tmp_path / "lewm.json",
        )
