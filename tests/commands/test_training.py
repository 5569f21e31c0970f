"""From nothing to a model that imagines: collect, pretrain, train."""

import re

import pytest
import torch

from benchmarks import kills_runs
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.checkpoints.encoders import load_encoder
from worldmodel.commands.main import main
from worldmodel.data import LeRobotDataset
from worldmodel.model import WorldModel

COLLECT = [*kills_runs.COLLECT, "episodes=3", "workers=1"]
PRETRAIN = [*kills_runs.PRETRAIN, "recipe.schedule.steps=2"]
TRAIN = [*kills_runs.TRAIN]
TRAIN += [f"{stage}.schedule.steps=2" for stage in kills_runs.STAGES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    return tmp_path_factory.mktemp("run")


def run(command: str, *options: str) -> int:
    return main([command, *options])


def test_the_commands_lead_from_nothing_to_a_model(folder, capsys):
    data, encoder = folder / "data", folder / "pre" / "encoder"
    assert run("collect", f"out={data}", *COLLECT) == 0
    assert "3 episodes, 24 frames" in capsys.readouterr().out
    assert (data / "contact_sheet.png").is_file()
    assert run("pretrain", f"data={data}", f"out={folder / 'pre'}", *PRETRAIN) == 0
    assert capsys.readouterr().out.endswith(f"the encoder is in {encoder}\n")
    assert "pretrain.jsonl" in (folder / "pre" / "README.md").read_text()
    options = [f"data={data}", f"encoder={encoder}", f"out={folder / 'train'}", *TRAIN]
    assert run("train", *options) == 0
    path = folder / "train" / "model"
    assert f"the world model is in {path}\n" in capsys.readouterr().out
    readme = (folder / "train" / "README.md").read_text()
    assert "model/README.md" in readme
    assert "planning.jsonl" in readme
    assert not (folder / "pre" / "projector").exists()
    model = WorldModel.from_pretrained(path)
    frozen, history = load_encoder(encoder)
    assert model.encoder.weights_hash == frozen.weights_hash
    assert model.history["dataset"] == LeRobotDataset.open(data).fingerprint()
    assert model.history["encoder"] == history
    frames = torch.from_numpy(LeRobotDataset.open(data).episode(0).frames)[None, :3]
    context = model.context(model.encode(frames), torch.zeros(1, 2, 5))
    future = model.predict(context, torch.zeros(1, 2, 4, 5))
    assert torch.isfinite(future).all()
    again = (path / "config.json").stat().st_mtime_ns
    assert run("train", *options) == 0  # finished: nothing is trained anew
    assert (path / "config.json").stat().st_mtime_ns >= again
    assert WorldModel.from_pretrained(path).encoder.weights_hash == frozen.weights_hash


def test_a_model_reads_proprio_and_looks_at_all_of_a_latent(folder):
    model = WorldModel.from_pretrained(folder / "train" / "model")
    weights = model.state_dict()
    tells = weights["proprio_correction.tell.weight"]
    assert tells.shape == (6, 64)
    assert torch.equal(weights["distances.proprio.readout.weight"], tells[:3])
    assert not [name for name in weights if "projection" in name]
    assert model.proprio_estimator is not None
    assert model.proprio_estimator.spec.dim == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["tabletop.proprio=2"], r"goal_proprio must be in \[0, proprio=2\], got 3"),
        (
            ["tabletop.object_dims=7"],
            "object_dims must be at least 3 for .* got object_dims=7 and 0 slots",
        ),
        (
            [f"tabletop.{name}=2" for name in ("object_dims", "proprio")]
            + ["tabletop.goal_proprio=2"],
            "object_dims needs at least 3 dimensions of proprio, .* got proprio=2",
        ),
        (
            ["tabletop.proprio=0", "tabletop.goal_proprio=0"],
            "proprio_correction needs proprio above 0, got 0",
        ),
        (["planning.predictor.width=18"], "width must be a multiple of heads=4"),
        (["projector.dim=0"], "must be at least 1, got 0"),
    ],
)
def test_a_recipe_that_cannot_be_is_one_line(folder, capsys, options, message):
    data, encoder = folder / "data", folder / "pre" / "encoder"
    named = [f"data={data}", f"encoder={encoder}", f"out={folder / 'none'}"]
    assert run("train", *named, *TRAIN, *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)
    assert not (folder / "none").exists()


def test_a_model_can_do_without_a_tabletop(folder):
    data, encoder = folder / "data", folder / "pre" / "encoder"
    options = [f"data={data}", f"encoder={encoder}", f"out={folder / 'bare'}", *TRAIN]
    bare = [f"tabletop.{name}=0" for name in ("proprio", "goal_proprio")]
    bare += ["tabletop.proprio_correction=false"]
    cost = ["cost.proprio_goal=0", "cost.move_threshold=0"]
    assert run("train", *options, *bare, *cost) == 0
    model = WorldModel.from_pretrained(folder / "bare" / "model")
    assert model.proprio_correction is None
    assert model.proprio_estimator is None
    assert model.distances.proprio is None


def test_a_model_practises_and_learns_from_that(folder, capsys):
    data, encoder = folder / "data", folder / "pre" / "encoder"
    model, out = folder / "train" / "model", folder / "practice"
    small = ["planner.samples=8", "planner.elites=2", "planner.iterations=1"]
    small += [
        "min_improvement=0",
        "proposals=2",
        "horizon=2",
        "rules.steps=6",
        "rules.group=2",
    ]
    goals = ["rules.shortest=2", "rules.longest=3", "workers=1", "device=cpu"]
    options = [f"model={model}", f"goals={data}", f"out={out}", *small, *goals]
    assert run("practice", *options, "episodes=2") == 0
    first = LeRobotDataset.open(out).episode(1)
    assert run("practice", *options, "episodes=3") == 0
    assert "3 episodes, 18 frames" in capsys.readouterr().out
    again = LeRobotDataset.open(out).episode(1)
    assert (again.actions == first.actions).all()
    assert abs(again.actions).max() > 0
    shared = folder / "train" / "tokens"
    (seen,) = shared.glob("tokens-*.npy")
    written = seen.stat().st_mtime_ns
    train = [f"data={data}", f"encoder={encoder}", f"out={folder / 'wiser'}", *TRAIN]
    train += [f"tokens={shared}"]
    assert run("train", *train, f"practice=[{out}]") == 0
    assert (
        len(list(shared.glob("tokens-*.npy"))) == 2
    )  # of play, as before, and of practice
    assert seen.stat().st_mtime_ns == written
    assert not (folder / "wiser" / "tokens").exists()
    history = WorldModel.from_pretrained(folder / "wiser" / "model").history
    assert history["practice"] == [LeRobotDataset.open(out).fingerprint()]
    assert run("train", *train, f"practice=[{out}]", "practice_weight=0") == 2
    assert "practice_weight must be a whole number in" in capsys.readouterr().err


def test_the_projector_of_a_model_is_taken_as_it_is(folder):
    data, encoder = folder / "data", folder / "pre" / "encoder"
    made, out = folder / "train" / "model", folder / "taken"
    options = [f"data={data}", f"encoder={encoder}", f"out={out}", *TRAIN]
    assert run("train", *options, f"projector_from={made}", "seed=1") == 0
    first, taken = (WorldModel.from_pretrained(path) for path in (made, out / "model"))
    for name in ("projector", "proprio_estimator"):
        weights = getattr(first, name).state_dict()
        for key, value in getattr(taken, name).state_dict().items():
            assert torch.equal(value, weights[key])
    assert weights_hash(taken.predictor) != weights_hash(first.predictor)
    assert taken.history["recipe"]["projector_given"]
    assert not list(out.glob("projector*"))
    assert (out / "planning.safetensors").is_file()


def test_a_projector_that_does_not_fit_is_one_line(folder, capsys):
    data, out = folder / "data", folder / "none"
    made = f"projector_from={folder / 'train' / 'model'}"

    def refused(encoder, *options: str) -> str:
        named = [f"data={data}", f"encoder={encoder}", f"out={out}", *TRAIN]
        assert run("train", *named, *options) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert not out.exists()
        return line

    mine, other = folder / "pre" / "encoder", folder / "pre2" / "encoder"
    pretrain = [f"data={data}", f"out={folder / 'pre2'}", *PRETRAIN]
    assert run("pretrain", *pretrain, "recipe.seed=1") == 0
    capsys.readouterr()
    theirs = load_encoder(mine)[0].weights_hash[:12]
    assert f"was trained on encoder {theirs}, " in refused(other, made)
    assert "has a projector " in refused(mine, made, "projector.dim=32")
    small = "tabletop.proprio_estimator.reduced=4"
    assert "has a proprio_estimator " in refused(mine, made, small)
    none = "tabletop.proprio_correction=false"
    assert "has a proprio_estimator " in refused(mine, made, none)
    nowhere = refused(mine, f"projector_from={folder / 'nowhere'}")
    assert f"no checkpoint folder at {folder / 'nowhere'}" in nowhere
    encoder = refused(mine, f"projector_from={mine}")
    assert "'encoder', not a 'world_model'" in encoder
    own = refused(mine, "projector_from=encoder")
    assert "was pretrained without a projector of its own" in own


def test_a_missing_dataset_or_encoder_is_one_line(tmp_path, capsys):
    assert run("pretrain", f"data={tmp_path / 'none'}", f"out={tmp_path / 'a'}") == 2
    assert capsys.readouterr().err.startswith("error: ")
    options = [f"data={tmp_path}", f"encoder={tmp_path / 'none'}"]
    assert run("train", *options, f"out={tmp_path / 'a'}") == 2
    assert "no checkpoint folder at" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
