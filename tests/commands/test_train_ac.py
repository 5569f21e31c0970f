"""V-JEPA 2-AC from a dataset of poses to a plan, random weights in true formats."""

import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from tests.commands.tiny import QUICK
from tests.data.lerobot_like import DATA, Made, change, write
from tests.encoders.published.layouts import write_folder
from worldmodel.checkpoints.vjepa2_ac import load_vjepa2_ac, published
from worldmodel.commands import train_ac
from worldmodel.commands.main import main
from worldmodel.commands.training import followed
from worldmodel.errors import CheckpointError
from worldmodel.evaluation.results import load_results
from worldmodel.model import WorldModel
from worldmodel.predictors import pose
from worldmodel.vjepa2_ac.world_model import PatchWorldModel

SIZES = tuple(
    f"architecture.{name}={size}"
    for name, size in (("width", 24), ("depth", 2), ("heads", 2), ("hidden", 32))
)
FEW = (
    *SIZES,
    *("schedule.steps=3", "schedule.save_every=0", "device=cpu"),
    *("recipe.windows=2", "recipe.frames=3", "recipe.rolled=2"),
)
ENV = ["env=PosedHand-v0", "adapter=tests.commands.posed_env:Hand"]
ENV += [*QUICK, "proposals=0", "precision=float32"]
STATE = "observation.state"


def poses(count, seed=0):
    """States (count, 7) that can be."""
    states = np.random.default_rng(seed).uniform(-1, 1, (count, 7))
    states[:, 6] = (states[:, 6] + 1) / 2
    return states.astype(np.float32)


def write_poses(folder, states):
    """Gives a dataset other states."""
    flat = pa.array(states.ravel(), pa.float32())
    column = pa.FixedSizeListArray.from_arrays(flat, states.shape[1])
    change(folder / DATA, STATE, lambda rows: column)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory):
    made = Made(lengths=(6, 4, 8), height=32, width=32, state=7)
    folder = write(tmp_path_factory.mktemp("posed") / "data", made)
    return write_poses(folder, poses(18))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory):
    return write_folder(tmp_path_factory.mktemp("encoder") / "vjepa2")


def train(data, encoder, out, *options):
    words = [f"data={data}", f"encoder={encoder}", f"out={out}", *FEW]
    return main(["train_ac", *words, *options])


def weights(out):
    return (out / "model" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def trained(data, encoder, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "out"
    assert train(data, encoder, out) == 0
    return out


def test_from_nothing_to_a_plan_and_a_table(trained, tmp_path):
    model = PatchWorldModel.from_pretrained(trained / "model")
    assert model.action_spec.rate_hz == 10.0
    assert model.spec.predictor.rows == model.spec.predictor.columns == 2
    assert (trained / "model" / "model.safetensors").stat().st_size < 200_000
    assert (trained / "predictor.jsonl").is_file()
    words = [f"model={trained / 'model'}", *ENV]
    out = f"out={tmp_path / 'table'}"
    assert main(["evaluate", *words, out, "split=validation", "n=2", "timing=2"]) == 0
    _, method = load_results(tmp_path / "table" / "results.json").rows
    assert len(method.episodes) == 2
    first = method.episodes[0].costs[0]
    assert first is not None
    assert first > 0  # NaN is not
    goal = tmp_path / "goal.png"
    Image.fromarray(np.full((48, 48, 3), 90, np.uint8)).save(goal)
    out = f"out={tmp_path / 'plan'}"
    assert main(["plan", *words, out, f"goal={goal}", "planner=vjepa2_ac"]) == 0
    plan = json.loads((tmp_path / "plan" / "plan.json").read_text())
    assert np.array(plan["actions"]).shape == (3, 4)


def test_it_says_beforehand_what_it_takes(data, encoder, tmp_path, capsys):
    assert train(data, encoder, tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "tokens of 18 frames, 4 x 32 float16 each" in said
    count = sum(
        p.numel()
        for name, p in PatchWorldModel.from_pretrained(
            tmp_path / "out" / "model"
        ).predictor.named_parameters()
        if not name.startswith("extrinsics")
    )
    assert f"training {count / 1e6:.4g} M parameters: 0.00 GiB for weights" in said
    assert "for what a step of 2 windows keeps for its gradient; about" in said
    assert "for 3 (measured on two windows)" in said


def test_killed_it_goes_on_to_the_same_bits(
    data, encoder, trained, tmp_path, monkeypatch
):
    def killed(label, steps, log):
        inner = followed(label, steps, log)

        class Follow:
            def __enter__(self):
                self.told = inner.__enter__()
                return self

            def __exit__(self, *error):
                return inner.__exit__(*error)

            def __call__(self, step, terms):
                self.told(step, terms)
                if step == 2:
                    raise KeyboardInterrupt

        return Follow()

    out = tmp_path / "out"
    monkeypatch.setattr(train_ac, "followed", killed)
    assert train(data, encoder, out) == 130
    assert not (out / "model").exists()
    monkeypatch.undo()
    assert train(data, encoder, out) == 0
    assert weights(out) == weights(trained)
    other = tmp_path / "seed"
    assert train(data, encoder, other, "seed=1") == 0
    assert weights(other) != weights(trained)


def test_it_goes_on_from_published_weights_and_from_a_model(
    data, encoder, trained, tmp_path
):
    before = PatchWorldModel.from_pretrained(trained / "model").predictor
    file = tmp_path / "mine.pt"
    torch.save({"predictor": published(before)}, file)
    slow = "schedule.learning_rate=1e-12"
    for name, start in (("file", file), ("model", trained / "model")):
        out = tmp_path / name
        assert train(data, encoder, out, f"predictor={start}", slow) == 0
        after = PatchWorldModel.from_pretrained(out / "model").predictor
        for key, value in after.state_dict().items():
            torch.testing.assert_close(value, before.state_dict()[key])
    torch.save({"predictor": published(after)}, file)
    again = load_vjepa2_ac(file, after.spec).state_dict()
    assert all(torch.equal(again[k], v) for k, v in after.state_dict().items())


def test_tokens_may_be_kept_as_int8(data, encoder, trained, tmp_path, capsys):
    out = tmp_path / "out"
    assert train(data, encoder, out, "tokens_as=int8") == 0
    said = capsys.readouterr().out
    assert "tokens of 18 frames, 4 x 32 int8 each" in said
    assert "as int8 they are off by 0." in said
    (file,) = (out / "tokens").glob("*.npy")
    assert file.stat().st_size < 18 * 4 * 36 + 200
    assert weights(out) != weights(trained)
    assert train(data, encoder, tmp_path / "none", "tokens_as=int4") == 2
    assert "tokens_as must be float16 or int8, got 'int4'" in capsys.readouterr().err


def test_poses_may_stand_in_other_columns(data, encoder, trained, tmp_path):
    out = tmp_path / "out"
    assert train(data, encoder, out, f"poses=[{STATE}]") == 0
    assert weights(out) == weights(trained)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (2, 300.0, "x, y, z of a state must be metres, within 10"),
        (4, 90.0, "Euler angles of a state must be radians, within 2 pi"),
        (6, 4.0, r"the gripper of a state must be in [0, 1], 1 shut"),
    ],
)
def test_states_that_are_no_poses_are_one_line(
    place, value, message, encoder, tmp_path, capsys
):
    states = poses(15)
    states[7, place] = value
    made = Made(height=32, width=32, state=7)
    folder = write_poses(write(tmp_path / "data", made), states)
    capsys.readouterr()
    assert train(folder, encoder, tmp_path / "out") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert line.endswith("at frame 7")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["predictor=nowhere.pt"], "nowhere.pt is no file; give the path of a .pt"),
        (["recipe.frames=40"], "frames of the past and of the plan must be 1 to 32"),
        (["recipe.frames=9"], "frames is 9, but the longest episode has 8"),
        (["architecture.heads=5"], "width must be a multiple of heads=5, got 24"),
        (["space.dead_zone=0.25"], "space.dead_zone must be 0"),
        (["poses=[action]"], "must hold poses of 7 numbers"),
        (["poses=[hand]"], "has no column hand; it has: action"),
    ],
)
def test_options_that_do_not_fit_are_one_line(
    options, message, data, encoder, tmp_path, capsys
):
    assert train(data, encoder, tmp_path / "out", *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_what_a_model_needs_to_plan_is_one_line(trained, tmp_path, capsys):
    words = [f"model={trained / 'model'}", *ENV, f"out={tmp_path / 'run'}"]
    some = ["split=validation", "n=1"]
    for options, message in (
        (["adapter=tests.commands.posed_env:Blind"], "needs the robot's pose, 7"),
        (["cost=latent"], "cost must be model: "),
        ([f"encoder={tmp_path / 'none'}"], "no encoder at"),
    ):
        assert main(["evaluate", *words, *some, *options]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    with pytest.raises(CheckpointError, match="holds a 'patch_world_model', not a"):
        WorldModel.from_pretrained(trained / "model")


def test_frames_are_planned_from_alone(trained):
    model = PatchWorldModel.from_pretrained(trained / "model")
    generator = torch.Generator().manual_seed(0)
    clip = torch.randint(0, 255, (2, 3, 32, 32, 3), generator=generator).byte()
    tokens = model.encode_newest(clip)
    assert torch.equal(tokens, model.encode_newest(clip[:, -1:]))
    felt = torch.from_numpy(poses(2))
    past = model.remember(None, None, tokens, felt)
    later = model.remember(past, torch.zeros(2, 4), tokens, felt)
    assert torch.equal(later.states, felt[:, None])
    actions = torch.rand(2, 3, 2, 4, generator=generator) * 2 - 1
    futures = model.predict(past, actions)
    assert futures.shape == (2, 3, 2, 4, 32)
    goal = tokens.flip(0)
    away = (futures[:, :, -1] - goal[:, None]).abs().mean((-2, -1))
    torch.testing.assert_close(model.goal_cost(past, goal)(actions), away)
    with pytest.raises(ValueError, match="must be the robot's pose"):
        model.remember(None, None, tokens, None)
    with pytest.raises(ValueError, match="got 6"):
        model.remember(None, None, tokens, felt[:, : pose.SIZE - 1])
