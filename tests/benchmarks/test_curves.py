"""Success over something is drawn, and gathered from runs that are made once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import how_much
from benchmarks.curves import Axis, draw
from tests.benchmarks.peers.test_strict import cart, evaluated

__all__ = ["cart"]  # a fixture
AXIS = Axis("minutes", "minutes")


def test_a_curve_is_drawn_with_its_floor(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib draws it")
    one = {"minutes": 1, "n": 4, "solved": 2, "interval": (0.1, 0.9)}
    lines = {"ours": [one | {"minutes": 3}, one], "lewm": []}
    assert draw(lines, AXIS, tmp_path / "curve.png", one | {"solved": 0})
    assert (tmp_path / "curve.png").stat().st_size > 1000


def test_each_number_of_episodes_is_learned_from_and_evaluated_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []

    def command(words: list[str]) -> None:
        called.append(words)
        out = Path(next(w for w in words if w.startswith("out=")).removeprefix("out="))
        made = {"pretrain": "encoder", "train": "model"}
        if words[0] in made:
            (out / made[words[0]]).mkdir(parents=True, exist_ok=True)
        else:
            evaluated(out, also="method")

    monkeypatch.setattr(how_much, "worldmodel_command", command)
    words = ["how_much", "--data", "data", "--out", str(tmp_path / "out"), "--n", "3"]
    words += ["--train", "seed=1", "--evaluate", "env=fake/Env-v0", "--episodes"]
    monkeypatch.setattr("sys.argv", [*words, "4", "2"])
    how_much.main()
    assert [call[0] for call in called] == ["pretrain", "train", "evaluate"] * 2
    assert "episodes=2" in called[0]
    assert {"episodes=2", "seed=1"} <= set(called[1])
    assert {"n=3", "goals=data", "env=fake/Env-v0"} <= set(called[2])
    monkeypatch.setattr("sys.argv", [*words, "2", "4", "8"])
    how_much.main()
    assert len(called) == 6 + 9  # a finished run is left alone by its command
    told = json.loads((tmp_path / "out" / "how_much.json").read_text())
    assert [one["episodes"] for one in told["points"]] == [2, 4, 8]
    assert told["points"][0]["ours"]["solved"] == 1
