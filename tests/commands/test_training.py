"""From nothing to a model that imagines: collect, pretrain, train."""

import re

import pytest
import torch

from worldmodel.checkpoints.parts import load_encoder, load_projector
from worldmodel.commands.main import main
from worldmodel.data import LeRobotDataset
from worldmodel.model import WorldModel

SIDE = 32
COLLECT = ["episodes=3", "steps=8", "workers=1", f"height={SIDE}", f"width={SIDE}"]
ENCODER = [f"recipe.model.encoder.{k}=16" for k in ("dim", "cell_dim")]
ENCODER += [f"recipe.model.encoder.{k}={SIDE}" for k in ("height", "width")]
PRETRAIN = ["recipe.schedule.steps=2", "recipe.pairs=2", "recipe.clips=1", *ENCODER]
PRETRAIN += ["recipe.model.encoder.heads=2", "recipe.model.encoder.depth=1"]
PRETRAIN += [
    "recipe.model.projector.patches=4",
    "recipe.model.projector.token_dim=16",
    "recipe.model.encoder.points=2",
    "recipe.model.encoder.num_colors=3",
    "recipe.model.encoder.num_slots=0",
    "recipe.model.num_blobs=3",
    "recipe.model.projector.blob_dim=21",
]
PRETRAIN += ["recipe.model.targets=2", "device=cpu"]
STAGES = (
    "projector",
    "proprio_estimator",
    "predictor",
    "distance",
    "policy_prior",
)
TRAIN = [f"{stage}.schedule.steps=2" for stage in STAGES]
TRAIN += ["projector.window=3", "predictor.window=3", "predictor.windows=4"]
TRAIN += ["projector.spec.patches=4", "projector.spec.token_dim=16"]
TRAIN += ["projector.spec.blob_dim=21", "tabletop.num_blobs=3"]
# In three short episodes the hand lifts nothing.
TRAIN += [
    "tabletop.object_positions=false",
    "distance.spec.projection.state_dim=10",
    "distance.spec.projection.goal_dim=2",
]
TRAIN += ["projector.pairs=2", "distance.batch=8", "policy_prior.batch=8", "device=cpu"]
TRAIN += ["proprio_estimator.batch=8", "proprio_estimator.hidden=8"]


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
    assert "policy_prior.jsonl" in readme
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


def test_a_model_reads_proprio_and_looks_at_it(folder):
    model = WorldModel.from_pretrained(folder / "train" / "model")
    weights = model.state_dict()
    tells = weights["proprio_correction.tell.weight"]
    assert tells.shape == (6, 64)
    assert torch.equal(weights["distances.proprio.readout.weight"], tells[:3])
    look = weights["distances.temporal.projection.readout.weight"]
    assert look.shape == (10, 64)
    assert torch.equal(look[4:], tells)
    assert torch.equal(weights["policy_prior.projection.readout.weight"], look)
    # Correcting by proprio leaves alone what is told of things.
    lifted = look[:4] @ weights["proprio_correction.lift.weight"]
    torch.testing.assert_close(lifted, torch.zeros(4, 6), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["tabletop.proprio=2"], r"goal_proprio must be in \[0, proprio=2\], got 3"),
        (["distance.spec.projection.state_dim=99"], r"must be 0 or in \[7, 12\]"),
        (
            ["distance.spec.projection.goal_dim=5"],
            r"goal_dim must be in \[1, 4\], .* got 5",
        ),
        (
            ["tabletop.object_positions=true"],
            "object_positions needs an encoder that knows things, .* got 0 things",
        ),
        (["tabletop.num_blobs=0"], "needs proprio and num_blobs above 0, got 6 and 0"),
    ],
)
def test_reads_that_cannot_be_are_one_line(folder, capsys, options, message):
    data, encoder = folder / "data", folder / "pre" / "encoder"
    named = [f"data={data}", f"encoder={encoder}", f"out={folder / 'none'}"]
    assert run("train", *named, *TRAIN, *options) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (folder / "none").exists()


def test_a_model_can_do_without_a_tabletop(folder):
    data, encoder = folder / "data", folder / "pre" / "encoder"
    options = [f"data={data}", f"encoder={encoder}", f"out={folder / 'bare'}", *TRAIN]
    bare = [f"tabletop.{name}=0" for name in ("num_blobs", "proprio", "goal_proprio")]
    bare += ["tabletop.proprio_correction=false", "projector.proprio=0"]
    whole = [
        "distance.spec.projection.state_dim=0",
        "distance.spec.projection.goal_dim=0",
    ]
    cost = ["cost.proprio_goal=0", "cost.move_threshold=0"]
    assert run("train", *options, *bare, *whole, *cost) == 0
    model = WorldModel.from_pretrained(folder / "bare" / "model")
    assert model.proprio_correction is None
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


def test_training_goes_on_from_the_pretrained_projector(folder, capsys):
    data, encoder = folder / "data", folder / "pre" / "encoder"
    options = [f"data={data}", f"encoder={encoder}", *TRAIN]
    start = [f"projector_from={folder / 'pre' / 'projector'}"]
    slowly = ["projector.schedule.learning_rate=1e-9", f"out={folder / 'started'}"]
    assert run("train", *options, *start, *slowly) == 0
    model = WorldModel.from_pretrained(folder / "started" / "model")
    begun = load_projector(folder / "pre" / "projector", model.encoder)
    for name, weight in model.projector.state_dict().items():
        torch.testing.assert_close(weight, begun.state_dict()[name])
    small = ["projector.spec.hidden=8", f"out={folder / 'none'}"]
    assert run("train", *options, *start, *small) == 2
    assert "projector.spec says" in capsys.readouterr().err


def test_a_trained_projector_is_taken_as_it_is(folder, capsys):
    data, encoder = folder / "data", folder / "pre" / "encoder"
    options = [f"data={data}", f"encoder={encoder}", "refine=false", *TRAIN]
    made = folder / "train" / "projector"
    out = folder / "taken"
    assert run("train", *options, f"projector_from={made}", f"out={out}") == 0
    first = WorldModel.from_pretrained(folder / "train" / "model").projector
    taken = WorldModel.from_pretrained(out / "model").projector.state_dict()
    for name, weight in first.state_dict().items():
        assert torch.equal(taken[name], weight)
    assert not (out / "projector.safetensors").exists()
    assert run("train", *options, f"out={folder / 'none'}") == 2
    assert "refine=false takes the projector as it is" in capsys.readouterr().err
    assert not (folder / "none").exists()


def test_a_missing_dataset_or_encoder_is_one_line(tmp_path, capsys):
    assert run("pretrain", f"data={tmp_path / 'none'}", f"out={tmp_path / 'a'}") == 2
    assert capsys.readouterr().err.startswith("error: ")
    options = [f"data={tmp_path}", f"encoder={tmp_path / 'none'}"]
    assert run("train", *options, f"out={tmp_path / 'a'}") == 2
    assert "no checkpoint folder at" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_an_encoder_that_the_recipe_does_not_fit_is_one_line(folder, capsys):
    data, encoder = folder / "data", folder / "pre" / "encoder"
    out = folder / "other"
    assert run("train", f"data={data}", f"encoder={encoder}", f"out={out}") == 2
    assert (
        "projector.patches must be 4, as the encoder gives, got 36"
        in capsys.readouterr().err
    )
    assert not out.exists()
