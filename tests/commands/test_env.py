"""`env=`: any env of Gymnasium in place of a task."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.commands.tiny import QUICK, SIDE, save_tiny_model
from tests.data.lerobot_like import INFO, Made, write
from tests.data.synthetic import same
from worldmodel.action_spec import ActionSpec
from worldmodel.commands.main import main
from worldmodel.commands.pictures import write_picture
from worldmodel.commands.training import open_frames
from worldmodel.data import LeRobotDataset, View
from worldmodel.evaluation.adapters.adapted_arena import AdaptedArena
from worldmodel.evaluation.results import load_results

HERE = Path(__file__).parents[1] / "evaluation" / "adapters"
ADAPTER = f"{HERE / 'pusher.py'}:Pusher"
SPEC = ActionSpec(
    names=("action_0", "action_1"),
    units=("unknown",) * 2,
    scales=(1.0, 1.0),
    frames=("unknown",) * 2,
    rate_hz=10.0,
)
ENV = ["env=PointPusher-v0", f"adapter={ADAPTER}"]
pytestmark = pytest.mark.usefixtures("short")
FEW = [*QUICK, "split=validation", "n=2", "timing=0", "ahead=10", "budget=4"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny", SPEC)


@pytest.fixture(scope="module")
def goals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("goals") / "play"
    assert collect(folder, "episodes=60", "steps=50", "seed=1") == 0
    return folder


def collect(out, *options):
    size = [f"height={SIDE}", f"width={SIDE}"]
    return main(["collect", *ENV, f"out={out}", *size, "workers=1", *options])


def test_a_collection_in_an_env_goes_on_to_the_same_dataset(goals, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert collect(whole, "episodes=4", "steps=6", "seed=3") == 0
    assert collect(parts, "episodes=2", "steps=6", "seed=3") == 0
    assert collect(parts, "episodes=4", "steps=6", "seed=3") == 0
    one, two = LeRobotDataset.open(whole), LeRobotDataset.open(parts)
    assert one.fingerprint() == two.fingerprint()
    assert (len(one), one.frames) == (4, 24)
    episode = one.episode(1)
    moved = np.diff(episode.sim_state[:, :2], axis=0)
    free = (episode.sim_state[1:, :2] % 1 > 0).all(axis=1)  # not at the table's edge
    assert np.allclose(moved[free], 0.08 * episode.actions[:-1][free], atol=1e-6)
    assert not same(episode, one.episode(2))
    assert not same(episode, LeRobotDataset.open(goals).episode(1))  # of another seed
    assert one.spec.robot_type == "PointPusher-v0"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["mix.push=0.5"], "mix.push chooses among behaviours of our own scene"),
        (["adapter=null"], "needs state, which the adapter Adapter lacks"),
        (["env=null"], "needs the env that it is of: env="),
        (["steps=0"], "steps must be a whole number in [1, 10000], got 0"),
    ],
)
def test_a_collection_that_cannot_be_is_one_line(options, message, tmp_path, capsys):
    assert collect(tmp_path / "play", *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "play").exists()


def test_a_dataset_is_of_one_adapter(goals, tmp_path, capsys):
    shutil.copytree(goals, tmp_path / "play")
    file = tmp_path / "other.py"
    text = (HERE / "pusher.py").read_text()
    file.write_text(text + "\n    budget = 9\n")
    assert collect(tmp_path / "play", "steps=50", f"adapter={file}:Pusher") == 2
    assert "adapter" in capsys.readouterr().err


def test_an_adapter_without_proprio_records_nothing(tmp_path, capsys):
    file, text = tmp_path / "numb.py", (HERE / "pusher.py").read_text()
    file.write_text(text + "\n    proprio = None\n")
    assert collect(tmp_path / "play", f"adapter={file}:Pusher") == 2
    assert "at least 1 number of proprio, the adapter Pusher" in capsys.readouterr().err


def run(model, goals, out, *options):
    words = [f"model={model}", *ENV, f"goals={goals}", f"out={out}", *FEW]
    return main(["evaluate", *words, *options])


def test_a_result_does_not_depend_on_the_group_that_problems_run_in(
    model, goals, tmp_path
):
    assert run(model, goals, tmp_path / "a", "group=1") == 0
    assert run(model, goals, tmp_path / "b", "group=2") == 0
    first, second = (
        load_results(tmp_path / name / "results.json").rows for name in "ab"
    )
    assert [row.episodes for row in first] == [row.episodes for row in second]
    assert first[0].protocol == second[0].protocol


def test_a_goal_is_a_recorded_frame_and_no_start_is_solved(
    model, goals, tmp_path, monkeypatch
):
    closed, close = [], AdaptedArena.close
    monkeypatch.setattr(AdaptedArena, "close", lambda a: closed.append(close(a)))
    assert run(model, goals, tmp_path / "run", f"problems={tmp_path / 'set'}") == 0
    assert len(closed) == 1
    with np.load(next((tmp_path / "set").glob("*/problems.npz"))) as stored:
        pictures, states = stored["goal_images"], stored["goals"]
        starts = stored["states"]
    frames = open_frames(str(goals))
    for picture, state in zip(pictures, states, strict=True):
        (rows,) = np.nonzero((frames.sim_state == state).all(axis=1))
        assert any(np.array_equal(frames.frames[row], picture) for row in rows)
    assert (np.linalg.norm(states[:, 2:] - starts[:, 2:], axis=1) > 0.05).all()


def test_a_model_of_blocks_runs_in_control_steps(goals, tmp_path):
    pairs = save_tiny_model(tmp_path / "pairs", replace(SPEC, block=2))
    words = [f"model={pairs}", *ENV, *QUICK, "budget=5"]
    write_picture(np.zeros((50, 60, 3), np.uint8), tmp_path / "goal.png")
    out = f"out={tmp_path / 'plan'}"
    assert main(["plan", *words, f"goal={tmp_path / 'goal.png'}", out]) == 0
    plan = json.loads((tmp_path / "plan" / "plan.json").read_text())
    assert np.shape(plan["actions"]) == (5, 2)
    assert [cost is not None for cost in plan["costs"]] == [True, *[False] * 3, True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["adapter=null"],
            "needs state, restore, distances, tolerances, which the",
        ),
        (["goals=null"], "needs problem, which the adapter Pusher lacks"),
        (["env=CartPole-v1"], "actions must be a Box of one dimension (A,), got Disc"),
        (["env=Pendulum-v1"], "2 dimensions, the env takes 1; model: {"),
        (["env=Nowhere-v0"], "no env Nowhere-v0 is registered with Gymnasium; known"),
        (["ahead=0"], "ahead must be a whole number in [1, 100000], got 0"),
        (["ahead=400"], "none has a goal ahead=400 frames later"),
        (["n=900"], "900 problems are wanted, "),
        (["budget=0"], "budget must be a whole number in [1, 100000], got 0"),
        (["ceilings=1"], "ceilings read our simulator: they are for task=, not env="),
    ],
)
def test_what_cannot_be_run_is_one_line(
    options, message, model, goals, tmp_path, capsys
):
    assert run(model, goals, tmp_path / "run", *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "run").exists() or "problems are wanted" in message


def test_a_dataset_without_the_state_is_refused(model, tmp_path, capsys):
    folder = write(tmp_path / "data", Made(height=SIDE, width=SIDE))
    assert run(model, folder, tmp_path / "run") == 2
    shown = capsys.readouterr().err
    assert "the dataset has other actions than env=PointPusher-v0" in shown


def test_an_env_that_does_not_look_like_the_dataset_is_refused(
    model, goals, tmp_path, capsys
):
    text = (HERE / "pusher.py").read_text()
    file = tmp_path / "blurred.py"
    body = "return observation['pixels'][::-1]"
    blind = f"    def picture(self, observation):\n        {body}\n"
    file.write_text(text + "\n" + blind)
    assert run(model, goals, tmp_path / "run", f"adapter={file}:Pusher") == 2
    assert "does not look like their frames" in capsys.readouterr().err


@pytest.fixture
def others(goals, tmp_path):
    """The same recordings as somebody else's, whose info.json tells less of them."""
    shutil.copytree(goals, tmp_path / "others")
    info = json.loads((goals / INFO).read_text())
    del info["worldmodel"]
    (tmp_path / "others" / INFO).write_text(json.dumps(info))
    return tmp_path / "others"


def test_a_model_of_blocks_takes_goals_of_others_at_its_own_steps(
    others, tmp_path, capsys
):
    pairs = save_tiny_model(tmp_path / "pairs", replace(SPEC, block=2))
    out = tmp_path / "run"
    assert run(pairs, others, out, "ahead=9", "states=sim_state") == 2
    assert "ahead must be a multiple of the 2 control steps" in capsys.readouterr().err
    assert run(pairs, others, out) == 2
    shown = capsys.readouterr().err
    assert "does not say which of its columns are the env's state" in shown
    assert "sim_state" in shown
    assert run(pairs, others, out, "states=no.such") == 2
    assert "has no column no.such" in capsys.readouterr().err
    assert run(pairs, others, out, "states=sim_state", "budget=5") == 0
    _, row = load_results(out / "results.json").rows
    planned = [cost is not None for cost in row.episodes[0].costs]
    assert planned == [True, False, False, False, True]


def test_states_of_another_length_are_refused(model, others, tmp_path, capsys):
    states = "states=[sim_state,observation.state]"
    assert run(model, others, tmp_path / "run", states) == 2
    shown = capsys.readouterr().err
    assert "goals= has states of 6 numbers, Pusher.state gives 4" in shown


def test_states_that_are_read_from_pictures_where_nothing_else_tells_them(
    model, others, tmp_path, capsys
):
    file, text = tmp_path / "reader.py", (HERE / "pusher.py").read_text()
    body = """
    def read(self, picture, proprio):
        if picture[:, :, 2].max() < 250:
            return np.array([*proprio, *self.middle(picture)])
        raise ValueError("too bright")

    def middle(self, picture):
        rows, columns = np.nonzero(picture[:, :, 0] > picture[:, :, 2])
        return (columns.mean() + 0.5) / 32, (rows.mean() + 0.5) / 32
"""
    file.write_text(text + body)
    assert run(model, others, tmp_path / "run", f"adapter={file}:Pusher") == 0
    assert "read from pictures" in capsys.readouterr().out


@pytest.mark.parametrize("block", [1, 2])
def test_practice_in_an_env_is_more_data_like_that_of_its_goals(
    block, goals, tmp_path, capsys
):
    model = save_tiny_model(tmp_path / "tiny", replace(SPEC, block=block))
    words = [f"model={model}", *ENV, f"goals={goals}", "episodes=3", "workers=1"]
    words += ["rules.steps=6", "rules.group=2", "rules.shortest=2", "rules.longest=3"]
    words += [*QUICK, "proposals=0"]
    for name in "ab":
        assert main(["practice", *words, f"out={tmp_path / name}"]) == 0
    capsys.readouterr()
    play = LeRobotDataset.open(goals)
    first, second = (LeRobotDataset.open(tmp_path / name) for name in "ab")
    assert (len(first), first.frames) == (3, 18)
    assert first.spec.action_spec == play.spec.action_spec
    assert first.spec.proprio_names == play.spec.proprio_names
    for index in range(3):
        episode = first.episode(index)
        assert np.ptp(episode.sim_state[:, :2], axis=0).min() > 0
        assert same(episode, second.episode(index))
    view = View(None, SIDE, SIDE, block)
    seen = [open_frames(str(path), None, view) for path in (goals, first.path)]
    assert seen[0].spec.action_spec == seen[1].spec.action_spec
    assert seen[1].actions.shape == (18 // block, 2 * block)
    assert main(["practice", *words, "adapter=null", f"out={tmp_path / 'c'}"]) == 2
    assert "needs state, which the adapter Adapter lacks" in capsys.readouterr().err


def test_an_env_of_ours_gives_what_the_task_gives_to_the_bit(tmp_path):
    tiny = save_tiny_model(tmp_path / "tiny")
    words = ["evaluate", f"model={tiny}", *FEW]
    for name, place in (("a", "task=reach"), ("b", "env=worldmodel/Reach-v0")):
        assert main([*words, place, f"out={tmp_path / name}"]) == 0
    first, second = (
        load_results(tmp_path / name / "results.json").rows for name in "ab"
    )
    assert first == second
    for file in (tmp_path / "a" / "films").iterdir():
        other = tmp_path / "b" / "films" / file.name
        assert file.read_bytes() == other.read_bytes()


def test_our_env_takes_goals_from_its_play(tmp_path):
    tiny, play = save_tiny_model(tmp_path / "tiny"), tmp_path / "play"
    size = [f"height={SIDE}", f"width={SIDE}"]
    assert (
        main(["collect", f"out={play}", "episodes=20", "steps=14", "workers=1", *size])
        == 0
    )
    words = [f"model={tiny}", "env=worldmodel/Reach-v0", f"goals={play}", *FEW]
    assert main(["evaluate", *words, f"out={tmp_path / 'run'}"]) == 0
    rows = load_results(tmp_path / "run" / "results.json").rows
    assert list(rows[1].episodes[0].final) == ["gripper [m]"]
