"""From nothing to a model that imagines: collect, pretrain, train."""

import pytest
import torch
from safetensors.torch import load_file

from worldmodel.commands.main import main
from worldmodel.data import LeRobotDataset
from worldmodel.model import WorldModel
from worldmodel.parts import load_compressor, load_encoder

SIDE = 32
COLLECT = ["episodes=3", "steps=8", "workers=1", f"height={SIDE}", f"width={SIDE}"]
ENCODER = [f"recipe.model.encoder.{k}=16" for k in ("dim", "cell_dim")]
ENCODER += [f"recipe.model.encoder.{k}={SIDE}" for k in ("height", "width")]
PRETRAIN = ["recipe.schedule.steps=2", "recipe.pairs=2", "recipe.clips=1", *ENCODER]
PRETRAIN += ["recipe.model.encoder.heads=2", "recipe.model.encoder.depth=1"]
PRETRAIN += [
    "recipe.model.compressor.patches=4",
    "recipe.model.compressor.token_dim=16",
]
PRETRAIN += ["recipe.model.targets=2", "device=cpu"]
TRAIN = ["dynamics.schedule.steps=2", "distance.schedule.steps=2", "dynamics.window=3"]
TRAIN += ["dynamics.compressor.patches=4", "dynamics.compressor.token_dim=16"]
TRAIN += ["dynamics.pairs=2", "distance.batch=8", "device=cpu"]


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
    assert capsys.readouterr().out == f"the encoder is in {encoder}\n"
    options = [f"data={data}", f"encoder={encoder}", f"out={folder / 'train'}", *TRAIN]
    assert run("train", *options) == 0
    path = folder / "train" / "model"
    assert capsys.readouterr().out == f"the world model is in {path}\n"
    model = WorldModel.from_pretrained(path)
    frozen, history = load_encoder(encoder)
    assert model.encoder.weights_hash == frozen.weights_hash
    assert model.history["dataset"] == LeRobotDataset.open(data).fingerprint()
    assert model.history["encoder"] == history
    frames = torch.from_numpy(LeRobotDataset.open(data).episode(0).frames)[None, :3]
    context = model.context(model.encode(frames), torch.zeros(1, 2, 5))
    future = model.imagine(context, torch.zeros(1, 2, 4, 5))
    assert torch.isfinite(future).all()
    again = (path / "config.json").stat().st_mtime_ns
    assert run("train", *options) == 0  # finished: nothing is trained anew
    assert (path / "config.json").stat().st_mtime_ns >= again
    assert WorldModel.from_pretrained(path).encoder.weights_hash == frozen.weights_hash


def test_a_model_tells_what_is_felt_where_it_was_trained_to(folder, capsys):
    data, encoder = folder / "data", folder / "pre" / "encoder"
    options = [f"data={data}", f"encoder={encoder}", *TRAIN]
    felt = ["dynamics.proprio=6", "felt=3", "cost.felt=1.0", "cost.latent=0.1"]
    out = folder / "felt"
    assert run("train", *options, f"out={out}", *felt) == 0
    model = WorldModel.from_pretrained(out / "model")
    assert model.spec.cost.felt == 1.0
    told = load_file(out / "dynamics.safetensors")["modules/module/proprio.weight"]
    assert torch.equal(model.distances.felt.read.weight, told[:3])
    reads = model.distances.temporal.read.weight
    assert torch.equal(reads[:6], told)
    assert reads.shape == (12, 64)
    assert model.distances.seen.read.weight.shape == (2 * 16, 64)
    assert run("train", *options, f"out={folder / 'none'}", "dynamics.proprio=0") == 2
    assert "felt must be in [0, dynamics.proprio=0], got 3" in capsys.readouterr().err
    wide = ["distance.spec.read=99", f"out={folder / 'none'}"]
    assert run("train", *options, *wide) == 2
    assert "must be 0 or in [7, 38]" in capsys.readouterr().err
    assert not (folder / "none").exists()


def test_training_goes_on_from_the_pretrained_compressor(folder, capsys):
    data, encoder = folder / "data", folder / "pre" / "encoder"
    options = [f"data={data}", f"encoder={encoder}", *TRAIN]
    start = [f"compressor={folder / 'pre' / 'compressor'}", "dynamics.schedule.steps=1"]
    slow = "dynamics.schedule.learning_rate=1e-9"
    out = folder / "started"
    assert run("train", *options, f"out={out}", *start, slow) == 0
    model = WorldModel.from_pretrained(out / "model")
    begun = load_compressor(folder / "pre" / "compressor", model.encoder)
    for name, weight in model.compressor.state_dict().items():
        torch.testing.assert_close(weight, begun.state_dict()[name])
    small = ["dynamics.compressor.hidden=8", f"out={folder / 'none'}"]
    assert run("train", *options, *start, *small) == 2
    assert "dynamics.compressor says" in capsys.readouterr().err


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
    assert "those of the encoder, (4, 16), got (36, 128)" in capsys.readouterr().err
    assert not out.exists()
