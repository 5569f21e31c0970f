"""From a dataset that the real LeRobot client wrote to a model that imagines."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.kills_runs import COLLECT
from tests.data.lerobot_like import DATA, REAL, Made, change, change_info, write
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.checkpoints.encoders import load_encoder, load_projector
from worldmodel.commands.main import main
from worldmodel.model import WorldModel

ENCODER = "recipe.model.encoder"
SMALL_PRETRAIN = (
    *("recipe.schedule.steps=2", "recipe.windows=2", "recipe.clips=1", "device=cpu"),
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


TOP, WRIST = "observation.images.top", "observation.images.wrist"


def pretrained(name: str, folder: Path, *options: str) -> Path:
    """An encoder of a real dataset."""
    data = (f"data={REAL / name}", f"cache={folder / 'cache'}")
    out = f"out={folder / 'pre'}"
    assert main(["pretrain", *data, out, *SMALL_PRETRAIN, *options]) == 0
    return folder / "pre" / "encoder"


def train(data: Path, encoder: Path, out: Path, *options: str) -> int:
    """Trains on an encoder, with nothing said of the dataset but its place."""
    named = (f"data={data}", f"encoder={encoder}", f"out={out}")
    cache = f"cache={encoder.parents[1] / 'cache'}"
    return main(["train", *named, cache, *SMALL_TRAIN, *options])


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Encoders of the only camera, of one, of two, and of every third frame."""
    looks = {
        "only": ("pusht_many_files",),
        "top": ("pusht_two_cameras", f"camera={TOP}"),
        "both": ("pusht_two_cameras", f"camera=[{TOP},{WRIST}]"),
        "strided": ("pusht_video", "stride=3"),
    }
    return {
        name: pretrained(data, tmp_path_factory.mktemp(name), *look)
        for name, (data, *look) in looks.items()
    }


@pytest.mark.parametrize(
    ("look", "name", "cameras", "block"),
    [
        ("only", "pusht_many_files", [TOP], 1),
        ("strided", "pusht_video", ["observation.image"], 3),
        ("both", "pusht_two_cameras", [TOP, WRIST], 1),
    ],
)
def test_training_needs_no_more_than_data_and_encoder(
    look, name, cameras, block, encoders, tmp_path
):
    encoder, out, size = encoders[look], tmp_path / "out", 2 * block
    assert train(REAL / name, encoder, out) == 0
    assert not list(out.glob("projector*"))
    for log in (encoder.parent / "pretrain.jsonl", out / "planning.jsonl"):
        losses = [json.loads(line)["total"] for line in log.read_text().splitlines()]
        assert losses
        assert all(abs(loss) < 1e6 for loss in losses)  # NaN is not below anything
    model = WorldModel.from_pretrained(out / "model")
    history, own = load_encoder(encoder)[1], load_projector(encoder)
    assert own is not None
    assert weights_hash(model.projector) == weights_hash(own)
    assert model.action_spec.absolute
    assert model.action_spec.block == block
    assert model.history["dataset"] == history["dataset"]
    assert model.history["view"] == history["view"]
    assert history["view"]["stride"] == block
    assert history["view"]["camera"] == cameras
    frames = torch.zeros(1, 3, 32, 32, 3, dtype=torch.uint8)
    context = model.context(model.encode(frames), torch.zeros(1, 2, size))
    assert torch.isfinite(model.predict(context, torch.zeros(1, 2, 4, size))).all()


def test_a_projector_can_be_trained_anew(encoders, tmp_path, capsys):
    encoder = encoders["only"]
    data, out = REAL / "pusht_many_files", tmp_path / "out"
    assert train(data, encoder, out, "projector.dim=32") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("give projector.dim=64")
    tabletop = ("tabletop.proprio=2", "tabletop.proprio_correction=true")
    assert train(data, encoder, out, *tabletop) == 2
    assert "brings no proprio estimator" in capsys.readouterr().err
    assert train(data, encoder, out, "projector.dim=32", "projector_from=none") == 0
    assert (out / "projector.jsonl").is_file()
    assert WorldModel.from_pretrained(out / "model").projector.spec.dim == 32


def test_a_limit_of_decoded_frames_changes_nothing_but_the_disk(tmp_path):
    made, places = [], {}
    for name, limit in (("all", "null"), ("few", 0.0005)):  # 0.5 of 3.8 MiB
        encoder = pretrained("pusht_video", tmp_path / name, f"cache_limit={limit}")
        out = tmp_path / name / "out"
        assert train(REAL / "pusht_video", encoder, out, f"cache_limit={limit}") == 0
        model = WorldModel.from_pretrained(out / "model")
        made.append(weights_hash(model))
        places[name] = list((tmp_path / name / "cache").rglob("frames.npy"))
    assert made[0] == made[1]
    assert len(places["all"]) == 1
    assert places["few"] == []


def test_it_learns_from_the_first_episodes_that_are_asked_for(tmp_path, capsys):
    data = REAL / "pusht_many_files"
    encoder = pretrained(data.name, tmp_path / "few", "episodes=2")
    assert train(data, encoder, tmp_path / "out", "episodes=2") == 0
    model = WorldModel.from_pretrained(tmp_path / "out" / "model")
    whole = pretrained(data.name, tmp_path / "all")
    frames = [load_encoder(one)[1]["frames"] for one in (encoder, whole)]
    assert frames[0] == model.history["frames"] < frames[1]
    capsys.readouterr()
    for given in ("0", "many", "1000"):
        options = [f"data={data}", f"episodes={given}"]
        options += [f"out={tmp_path / 'none'}", f"cache={tmp_path / 'cache'}"]
        assert main(["pretrain", *options, *SMALL_PRETRAIN]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "episodes must be" in line


@pytest.mark.parametrize("limit", ["0", "-1", "much", "true", "1e-9"])
def test_a_limit_that_is_none_is_one_line(limit, tmp_path, capsys):
    data = [f"data={REAL / 'pusht_video'}", f"cache={tmp_path / 'cache'}"]
    options = [*data, f"out={tmp_path / 'out'}", f"cache_limit={limit}"]
    assert main(["pretrain", *options, *SMALL_PRETRAIN]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cache_limit" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("encoder", "data", "options", "message"),
    [
        ("top", "pusht_two_cameras", [f"camera={WRIST}"], f"camera must be [{TOP}], "),
        ("both", "pusht_two_cameras", [f"camera=[{WRIST},{TOP}]"], f"[{TOP},{WRIST}]"),
        ("both", "pusht_two_cameras", [f"camera={TOP}"], f"got [{TOP}]: leave camera="),
        ("both", "pusht_video", [], "lacks a camera of"),
        ("both", "pusht_video", ["camera=observation.image"], "camera must be ["),
        ("strided", "pusht_video", ["stride=2"], "stride must be 3, as encoder="),
        ("strided", "pusht_video", ["stride=1"], "got 1: leave stride= out, or pretra"),
    ],
)
def test_another_look_than_the_encoders_is_one_line(
    encoder, data, options, message, encoders, tmp_path, capsys
):
    assert train(REAL / data, encoders[encoder], tmp_path / "out", *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()


def test_another_dataset_may_call_its_camera_otherwise(encoders, tmp_path):
    assert train(REAL / "pusht_video", encoders["top"], tmp_path / "out") == 0
    model = WorldModel.from_pretrained(tmp_path / "out" / "model")
    assert model.history["view"]["camera"] == ["observation.image"]


def recorded(folder: Path, side: int, most: float) -> Path:
    """A dataset of squares, with actions from 0 on."""
    write(folder, Made(lengths=(9, 8, 9), height=side, width=side, state=2))
    steps = np.linspace([0, 0], [most, most], 26)
    change(folder / DATA, "action", lambda values: steps.tolist())
    return folder


def test_what_was_recorded_later_is_learned_from_too(tmp_path, capsys):
    data = recorded(tmp_path / "data", 40, 9.0)
    (tmp_path / "pre").mkdir()
    options = [f"data={data}", f"out={tmp_path / 'pre'}", *SMALL_PRETRAIN]
    assert main(["pretrain", *options]) == 0
    encoder = tmp_path / "pre" / "encoder"
    later = recorded(tmp_path / "later", 48, 5.0)  # of another size, less far
    out = tmp_path / "out"
    assert train(data, encoder, out, f"practice=[{later}]") == 0
    model = WorldModel.from_pretrained(tmp_path / "out" / "model")
    assert len(model.history["practice"]) == 1
    beyond = recorded(tmp_path / "beyond", 40, 9.5)
    capsys.readouterr()
    assert train(data, encoder, out, f"practice=[{beyond}]") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "must be in [0, 9], the range of data, got [0, 9.5]: put both" in line
    change_info(later, "features/action/names", ["left", "right"])
    assert train(data, encoder, out, f"practice=[{later}]") == 2
    assert "must have the names of data, ('action_0', " in capsys.readouterr().err


def test_several_cameras_and_other_versions_are_one_line(tmp_path, capsys):
    out = f"out={tmp_path / 'none'}"
    assert main(["pretrain", f"data={REAL / 'pusht_two_cameras'}", out]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        "has 2 cameras, name one with camera=, or several with camera=[…], of" in line
    )
    assert main(["pretrain", f"data={REAL / 'pusht_video'}", out, "stride=0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "stride must be a whole number in [1, 10000], got 0" in line
    assert not (tmp_path / "none").exists()


def test_frames_of_another_size_are_one_line(tmp_path, capsys):
    options = [f"out={tmp_path / 'play'}", *COLLECT, "episodes=1", "workers=1"]
    assert main(["collect", *options]) == 0
    small = [f"out={tmp_path / 'none'}", "cache_limit=1e-6", *SMALL_PRETRAIN]
    assert main(["pretrain", f"data={tmp_path / 'play'}", *small]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "take 24.6 kB, more than the limit of 1.1 kB, and only" in line
    data, out = f"data={tmp_path / 'play'}", f"out={tmp_path / 'none'}"
    assert main(["pretrain", data, out]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "has frames of 32 x 32 (height x width), the encoder sees 96 x 9" in line
    assert not (tmp_path / "none").exists()


def test_goals_of_another_scene_need_their_env(tmp_path, capsys):
    goals = (f"goals={REAL / 'pusht_video'}", f"cache={tmp_path / 'cache'}")
    out = f"out={tmp_path / 'practice'}"
    assert main(["practice", "model=reference", *goals, out]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "was not recorded in our scene" in line
    assert "give the env that the dataset is of" in line
    assert not (tmp_path / "practice").exists()
