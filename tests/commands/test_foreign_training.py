"""From a dataset that the real LeRobot client wrote to a model that imagines."""

import json
from pathlib import Path

import pytest
import torch

from tests.data.lerobot_like import REAL
from worldmodel.checkpoints.encoders import load_encoder
from worldmodel.commands.main import main
from worldmodel.model import WorldModel

# What turns the recipe of the tabletop into one of frames and actions alone.
PLAIN_PRETRAIN = (
    "recipe.model.proprio=0",
    "recipe.model.encoder.num_colors=0",
    "recipe.model.encoder.num_slots=0",
)
PLAIN_TRAIN = (
    *(f"tabletop.{name}=0" for name in ("proprio", "goal_proprio", "object_dims")),
    "tabletop.proprio_correction=false",
    *("projector.weights.inverse=1", "projector.weights.contrast=0.1"),
    *("cost.proprio_goal=0", "cost.move_threshold=0"),
)
ENCODER = "recipe.model.encoder"
SMALL_PRETRAIN = (
    *("recipe.schedule.steps=2", "recipe.pairs=2", "recipe.clips=1", "device=cpu"),
    *(f"{ENCODER}.{key}=32" for key in ("height", "width")),
    *(f"{ENCODER}.{key}=16" for key in ("dim", "cell_dim")),
    *(f"{ENCODER}.heads=2", f"{ENCODER}.depth=1", f"{ENCODER}.points=2"),
    "recipe.model.targets=2",
)
SMALL_TRAIN = (
    *("projector.schedule.steps=2", "planning.schedule.steps=2", "device=cpu"),
    *("projector.window=3", "projector.pairs=2"),
    *("planning.predictor.window=3", "planning.predictor.windows=4"),
    *("planning.predictor.width=16", "planning.predictor.depth=1"),
    *("planning.distance.batch=8", "planning.distance.hidden=16"),
    *("planning.policy_prior.batch=8", "planning.policy_prior.hidden=16"),
)


@pytest.mark.parametrize(
    ("name", "look", "size"),
    [
        ("pusht_video", (), 2),
        ("pusht_many_files", ("stride=2",), 4),
        ("pusht_two_cameras", ("camera=observation.images.wrist",), 2),
    ],
)
def test_pretrain_and_train_run_on_it(name, look, size, tmp_path):
    data = (f"data={REAL / name}", f"cache={tmp_path / 'cache'}", *look)
    pre, out = tmp_path / "pre", tmp_path / "train"
    options = (*data, f"out={pre}", *PLAIN_PRETRAIN, *SMALL_PRETRAIN)
    assert main(["pretrain", *options]) == 0
    options = (*data, f"encoder={pre / 'encoder'}", f"out={out}")
    assert main(["train", *options, *PLAIN_TRAIN, *SMALL_TRAIN]) == 0
    logs = [pre / "pretrain.jsonl", out / "projector.jsonl", out / "planning.jsonl"]
    for log in logs:
        losses = [json.loads(line)["total"] for line in log.read_text().splitlines()]
        assert losses
        assert all(abs(loss) < 1e6 for loss in losses)  # NaN is not below anything
    model = WorldModel.from_pretrained(out / "model")
    assert model.action_spec.absolute
    assert model.action_spec.block == size // 2
    assert model.history["dataset"] == load_encoder(pre / "encoder")[1]["dataset"]
    frames = torch.zeros(1, 3, 32, 32, 3, dtype=torch.uint8)
    context = model.context(model.encode(frames), torch.zeros(1, 2, size))
    assert torch.isfinite(model.predict(context, torch.zeros(1, 2, 4, size))).all()


def test_the_documents_name_these_options():
    text = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()
    assert [o for o in (*PLAIN_PRETRAIN, *PLAIN_TRAIN) if o not in text] == []


def test_several_cameras_and_other_versions_are_one_line(tmp_path, capsys):
    out = f"out={tmp_path / 'none'}"
    assert main(["pretrain", f"data={REAL / 'pusht_two_cameras'}", out]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "has 2 cameras, name one with camera=, of: observation.images.top" in line
    assert main(["pretrain", f"data={REAL / 'pusht_video'}", out, "stride=0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "stride must be a whole number in [1, 10000], got 0" in line
    assert not (tmp_path / "none").exists()
