import dataclasses
import json

import pytest

from tests.evaluation.fakes import episode, protocol, row
from worldmodel.evaluation.results import (
    RESULTS_VERSION,
    Method,
    Results,
    load_results,
    now_utc,
    save_results,
)
from worldmodel.hardware import hardware


@pytest.fixture
def results() -> Results:
    return Results(
        version=RESULTS_VERSION,
        created=now_utc(),
        hardware=hardware(),
        gl="egl (a driver)",
        software={"torch": "2"},
        rows=(row([True, False]), row([False, False], "random", "floor")),
    )


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_results_come_back_as_they_were(tmp_path, results):
    save_results(results, tmp_path / "results.json")
    assert load_results(tmp_path / "results.json") == results


def test_a_file_holds_one_line_per_episode(tmp_path, results):
    save_results(results, tmp_path / "results.json")
    lines = (tmp_path / "results.json").read_text().splitlines()
    assert [line.startswith('{"index":') for line in lines] == [False] + [True] * 4


def test_missing_results_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"no results at .*nothing\.json"):
        load_results(tmp_path / "nothing.json")


def test_a_half_written_file_is_refused(tmp_path, results):
    path = tmp_path / "results.json"
    save_results(results, path)
    path.write_text(path.read_text()[:-50])
    with pytest.raises(ValueError, match="is no valid JSON .* evaluate again"):
        load_results(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(version=7), "must have version 1, got 7"),
        (lambda c: c.pop("gl"), r"missing: \['gl'\], unknown: none"),
        (lambda c: c["rows"][0].update(extra=1), r"rows\[0\] .* unknown: \['extra'\]"),
        (lambda c: c["rows"][0]["episodes"].pop(), "must have n=2 episodes, got 1"),
        (
            lambda c: c["rows"][1]["episodes"][0].update(success="yes"),
            r"rows\[1\].episodes\[0\].success must be a bool, got 'yes'",
        ),
        (
            lambda c: c["rows"][0]["episodes"][0].update(seed=True),
            r"episodes\[0\].seed must be a int, got True",
        ),
        (lambda c: c["rows"][0]["protocol"].update(budget=9), "it was edited"),
        (lambda c: c.update(rows=3), "rows must be a list of objects"),
    ],
)
def test_a_changed_file_is_refused_by_name(tmp_path, results, change, message):
    path = tmp_path / "results.json"
    save_results(results, path)
    edit(path, change)
    with pytest.raises(ValueError, match=message):
        load_results(path)


def test_a_crash_while_writing_leaves_the_old_results(tmp_path, results, monkeypatch):
    path = tmp_path / "results.json"
    save_results(results, path)
    before = path.read_bytes()
    broken = dataclasses.replace(results, gl=object())
    with pytest.raises(ValueError, match="cannot write object"):
        save_results(broken, path)
    assert path.read_bytes() == before


def test_an_unfinished_evaluation_is_no_result():
    with pytest.raises(ValueError, match="n=3 episodes, got 2"):
        row([True, True], rules=protocol(3))


def test_episodes_stand_in_the_order_of_their_problems():
    whole = row([True, False])
    swapped = (episode(1, True), episode(0, True))
    with pytest.raises(ValueError, match="episode 0 must be problem 0"):
        dataclasses.replace(whole, episodes=swapped)


def test_a_kind_without_meaning_is_refused():
    with pytest.raises(ValueError, match=r"kind must be one of .*'floor'.*got 'best'"):
        Method("a", "best", {})
