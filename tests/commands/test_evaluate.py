import json
import re

import numpy as np
import pytest

from envs.simulation import ACTION_SPEC
from envs.tabletop import TabletopEnv
from tests.commands.tiny import QUICK, SIDE, save_tiny_model
from worldmodel.action_spec import ActionSpec
from worldmodel.commands.main import main
from worldmodel.evaluation.frame_bank import save_bank
from worldmodel.evaluation.problem_files import load_problems
from worldmodel.evaluation.results import load_results

pytestmark = pytest.mark.usefixtures("short")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    return tmp_path_factory.mktemp("problems")


@pytest.fixture
def words(model, problems, tmp_path):
    own = [f"model={model}", f"problems={problems}", f"out={tmp_path / 'run'}"]
    own += ["task=reach", "split=validation", "n=2", "timing=0"]
    return ["evaluate", *own, *QUICK]


def test_an_evaluation_leaves_results_table_and_films(words, model, tmp_path, capsys):
    frames = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
    save_bank(frames, model / "bank.npz")
    assert main([*words, "film=[1]", "name=tiny"]) == 0
    (model / "bank.npz").unlink()
    run = tmp_path / "run"
    results = load_results(run / "results.json")
    kinds = [(row.method.name, row.method.kind) for row in results.rows]
    assert kinds == [("random actions", "floor"), ("tiny", "method")]
    assert {row.problems for row in results.rows} == {results.rows[0].problems}
    settings = results.rows[1].method.planner
    assert settings["planner"]["samples"] == 4
    assert settings["cost"]["latent"] == 1.0
    shown = capsys.readouterr().out
    assert (run / "table.md").read_text() in shown
    assert "| Reach | tiny |" in shown
    # The chosen one, and the first of its outcome (both fail, surely).
    films = sorted(path.name for path in (run / "films").iterdir())
    kinds = ("gif", "mp4")
    assert films == [f"reach_00{i}_failure.{kind}" for i in (0, 1) for kind in kinds]
    readme = (run / "README.md").read_text()
    assert "films/reach_000_failure.gif" in readme
    assert "| Reach | tiny |" in readme


def test_another_scene_has_the_same_problems_with_other_pictures(words, tmp_path):
    scene = ["scene.cube_rgb=[0.1,0.2,0.9]", "scene.light=0.6"]
    for name, extra in (("nominal", []), ("other", scene)):
        own = [f"problems={tmp_path / name}", f"out={tmp_path / 'runs' / name}"]
        assert main([*words, *own, *extra]) == 0
    nominal, other = (
        load_results(tmp_path / "runs" / name / "results.json").rows
        for name in ("nominal", "other")
    )
    assert nominal[1].protocol.name == "standard"
    changes = "standard, cube_rgb=[0.1, 0.2, 0.9], light=0.6"
    assert other[1].protocol.name == changes
    plain, changed = (
        load_problems(tmp_path / name / "reach_validation")
        for name in ("nominal", "other")
    )
    assert np.array_equal(plain.states, changed.states)
    assert np.array_equal(plain.goals, changed.goals)
    assert not np.array_equal(plain.goal_images, changed.goal_images)
    assert plain.environment != changed.environment


def stop_after(monkeypatch, steps):
    """Makes the run end, as by a kill, at that control step of the process."""
    original, counted = TabletopEnv.step, []

    def step(env, action):
        counted.append(1)
        if len(counted) == steps:
            raise KeyboardInterrupt
        return original(env, action)

    monkeypatch.setattr(TabletopEnv, "step", step)
    return counted


def outcome(run):
    """What a run leaves, without times."""
    rows = load_results(run / "results.json").rows
    films = {file.name: file.read_bytes() for file in (run / "films").iterdir()}
    names = {str(f.relative_to(run)) for f in run.rglob("*") if f.is_file()}
    return rows, films, names


def test_a_killed_evaluation_goes_on_group_by_group(words, tmp_path, monkeypatch):
    words = [*words, "n=3", "group=1", "film=[2]"]
    assert main(words) == 0
    killed = [*words, f"out={tmp_path / 'killed'}"]
    # 3 problems of 4 steps for the floor, as many for the method: 24 in all.
    for stop in (6, 7, 10):  # in the second, third and fifth group
        with monkeypatch.context() as patch:
            stop_after(patch, stop)
            assert main(killed) == 130
        assert not (tmp_path / "killed" / "results.json").exists()
    with monkeypatch.context() as patch:
        counted = stop_after(patch, 999)
        assert main(killed) == 0
        assert len(counted) == 4 * 2  # the fifth group and the sixth
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "run")


def test_kept_groups_of_another_model_are_refused(words, tmp_path, monkeypatch, capsys):
    words = [*words, "group=1"]
    with monkeypatch.context() as patch:
        stop_after(patch, 14)
        assert main(words) == 130
    path = tmp_path / "run" / "rows" / "reach_method" / "000000.json"
    content = json.loads(path.read_text())
    original = json.dumps(content)
    for change in (
        lambda it: it["conditions"]["method"].update(model_hash="another"),
        lambda it: it["conditions"].update(problems="others"),
        lambda it: it["conditions"].update(group=2),
    ):
        content = json.loads(original)
        change(content)
        path.write_text(json.dumps(content))
        assert main(words) == 2
        shown = capsys.readouterr().err
        assert "000000.json was run with another model or on other problems" in shown
    path.write_text(original[:-9])
    assert main(words) == 2
    assert "000000.json is no valid JSON" in capsys.readouterr().err
    path.write_text(original)
    assert main(words) == 0


def test_rows_of_a_model_that_has_changed_are_refused(words, tmp_path, capsys):
    assert main(words) == 0
    path = tmp_path / "run" / "rows" / "reach_method.json"
    content = json.loads(path.read_text())
    content["rows"][0]["method"]["model_hash"] = "another"
    path.write_text(json.dumps(content))
    assert main(words) == 2
    assert "was run with another model" in capsys.readouterr().err


def test_both_ceilings_stand_beside_floor_and_method_on_the_same_problems(
    words, tmp_path, monkeypatch
):
    cheap = ["planner.samples=3", "planner.elites=2", "planner.iterations=1"]
    cheap += ["planner.kept=1", "horizon=2"]
    small = [f"{c}.{o}" for c in ("shaped_ceiling", "latent_ceiling") for o in cheap]
    assert main([*words, "ceilings=1", "workers=1", *small]) == 0
    rows = load_results(tmp_path / "run" / "results.json").rows
    head = [row for row in rows if row.protocol.name == "ceiling"]
    kinds = [row.method.kind for row in head]
    assert kinds == ["floor", "method", "ceiling", "ceiling"]
    assert len({row.problems for row in head}) == 1
    assert head[0].episodes == rows[0].episodes[:1]
    assert "## ceiling" in (tmp_path / "run" / "table.md").read_text()


def test_a_model_with_a_habit_and_an_anchor_proposes_what_there_is_room_for(
    words, tmp_path, capsys
):
    skilled = save_tiny_model(tmp_path / "skilled", policy_prior=True)
    words = [*words, f"model={skilled}"]
    assert main(words) == 2
    message = "proposals must be at most 1, so that .* the 4 candidates .* got 16"
    assert re.search(message, capsys.readouterr().err)
    gradient = [
        "planner=gradient",
        "planner.starts=9",
        "horizon=2",
        "min_improvement=0.1",
    ]
    capsys.readouterr()
    plain = [
        word for word in words if not word.startswith(("planner", "min_improvement"))
    ]
    assert main([*plain, *gradient]) == 2
    message = "proposals must be at most 7, so that .* the 9 candidates .* got 16"
    assert re.search(message, capsys.readouterr().err)
    assert main([*words, "proposals=1"]) == 0
    method = load_results(tmp_path / "run" / "results.json").rows[1].method
    assert method.planner is not None
    assert method.planner["proposals"] == 1
    assert main([*words, "proposals=0", f"out={tmp_path / 'none'}"]) == 0
    words.append("proposals=1")
    assert main([*words, "search=false", "timing=1", f"out={tmp_path / 'fast'}"]) == 0
    method = load_results(tmp_path / "fast" / "results.json").rows[1].method
    assert method.name == f"{skilled}, policy prior"
    assert method.planner is not None
    assert method.planner["search"] is False


def test_milliseconds_are_measured_where_asked_for(words, tmp_path):
    assert main([*words, "n=1", "timing=1", "execute=1"]) == 0
    floor, method = load_results(tmp_path / "run" / "results.json").rows
    assert floor.timing is None
    assert method.timing is not None
    assert method.timing.p99_ms >= method.timing.p50_ms > 0


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "task=fold",
            "unknown task 'fold'; known tasks: Reach, Push, PickPlace; or all",
        ),
        ("planner=cme", "unknown planner 'cme', known are: cem"),
        ("planner.elites=9", "elites must be in [2, samples=4], got 9"),
        ("execute=3", "execute must be in [1, horizon=2], got 3"),
        ("horizon=2.5", "horizon must be a whole number like 6, got 2.5"),
        ("model=nowhere", "no checkpoint 'nowhere'"),
        ("cost=temporal", "the model has no learned distance"),
        ("split=exam", "split must be one of train, validation, test, got exam"),
        ("n=0", "n must be a whole number in [1, 1000000], got 0"),
        ("film=[7]", "film must be a count in [0, n=2] or a list of places in [0, 2)"),
        ("film=some", "film must be a count"),
        ("ceilings=3", "ceilings must be in [0, 2], got 3"),
        ("shaped_ceiling.execute=9", "execute must be in [1, horizon=6], got 9"),
        ("device=abacus", "device must be auto, cpu, cuda"),
        ("cuda_graphs=true", "cuda_graphs=true needs a GPU, the device is cpu"),
        ("search=false cuda_graphs=true", "cuda_graphs=true records searches"),
        ("search=false", "search=false needs a model with a policy prior"),
        ("search=2", "search must be true or false like true, got 2"),
    ],
)
def test_a_bad_option_is_one_line_and_leaves_nothing(
    option, message, words, tmp_path, capsys
):
    assert main([*words, *option.split()]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_model_of_other_actions_is_refused(words, tmp_path, capsys):
    other = {**ACTION_SPEC, "rate_hz": 10.0}
    folder = save_tiny_model(tmp_path / "other", ActionSpec.from_json(other))
    assert main([*words, f"model={folder}"]) == 2
    assert "rate_hz" in capsys.readouterr().err
    assert not (tmp_path / "run" / "results.json").exists()
