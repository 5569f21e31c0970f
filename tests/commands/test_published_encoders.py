"""From a published encoder's files to a plan, random weights in the true formats."""

import json
import shutil

import huggingface_hub
import pytest
import torch

from benchmarks.kills_runs import COLLECT
from tests.commands.test_foreign_training import SMALL_TRAIN
from tests.commands.tiny import QUICK
from tests.data.lerobot_like import REAL
from tests.encoders.published.layouts import write_folder, write_pt
from worldmodel.checkpoints.checkpoint import CONFIG_FILE, TENSORS_FILE
from worldmodel.commands.main import main
from worldmodel.encoders import PublishedSpec
from worldmodel.errors import CheckpointError
from worldmodel.evaluation.results import load_results
from worldmodel.model import WorldModel

pytestmark = pytest.mark.usefixtures("short")
EVALUATE = ["task=reach", "split=validation", "n=1", "timing=0", "proposals=1", *QUICK]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory):
    """Play of 3 episodes of 8 frames."""
    folder = tmp_path_factory.mktemp("play") / "data"
    options = [*COLLECT, "episodes=3", "workers=1"]
    assert main(["collect", f"out={folder}", *options]) == 0
    return folder


def train(data, encoder, out, *options):
    words = [f"data={data}", f"encoder={encoder}", f"out={out}", *SMALL_TRAIN]
    return main(["train", *words, *options])


def planned(model, folder, *options):
    """Evaluates one problem; gives what was recorded of it."""
    words = [f"model={model}", f"problems={folder / 'problems'}", *EVALUATE]
    assert main(["evaluate", *words, f"out={folder / 'run'}", *options]) == 0
    rows = load_results(folder / "run" / "results.json").rows
    assert [len(row.episodes) for row in rows] == [1, 1]
    return rows[1]


def test_vjepa2_trains_and_plans_by_the_plain_recipe(data, tmp_path, capsys):
    encoder, out = write_folder(tmp_path / "vjepa2"), tmp_path / "out"
    assert train(data, encoder, out) == 0
    said = capsys.readouterr().out
    assert "tokens of 24 frames, 4 x 32 float16 each: 0.00 GiB in " in said
    assert "frames/s; they are computed once" in said
    assert (out / "projector.jsonl").is_file()  # stage 2, unasked
    model = WorldModel.from_pretrained(out / "model")
    assert isinstance(model.spec.encoder, PublishedSpec)
    assert model.encoder.published_at == str(encoder)
    assert model.history["recipe"]["projector_given"] is False
    held = (out / "model" / TENSORS_FILE).stat().st_size
    assert held < 20e6
    assert not (out / "model" / "encoder").exists()
    row = planned(out / "model", tmp_path)
    moved = tmp_path / "moved"
    shutil.move(encoder, moved)
    with pytest.raises(CheckpointError, match="needs its encoder, vjepa2 .* enco"):
        WorldModel.from_pretrained(out / "model")
    again = planned(out / "model", tmp_path / "again", f"encoder={moved}")
    assert again == row


def test_trained_on_a_pt_file_it_plans_on_the_folder_with_its_weights(data, tmp_path):
    file, out = write_pt(tmp_path / "vit.pt"), tmp_path / "out"
    assert train(data, file, out, "published.crop=32", "published.heads=2") == 0
    folder = write_folder(tmp_path / "vjepa2")
    planned(out / "model", tmp_path, f"encoder={folder}")


def test_tokens_are_computed_once(data, tmp_path, capsys):
    encoder, tokens = write_pt(tmp_path / "vit.pt"), tmp_path / "tokens"
    read = ["published.crop=32", "published.heads=2", f"tokens={tokens}"]
    assert train(data, encoder, tmp_path / "first", *read) == 0
    assert "they are computed once" in capsys.readouterr().out
    (file,) = tokens.glob("*.npy")
    written = file.stat().st_mtime_ns
    assert train(data, encoder, tmp_path / "second", *read, "seed=1") == 0
    assert "they are computed once" not in capsys.readouterr().out
    assert file.stat().st_mtime_ns == written
    config = json.loads((tmp_path / "first" / "model" / CONFIG_FILE).read_text())
    assert config["spec"]["encoder"]["weights"] == "target_encoder"
    assert config["encoder_at"] == str(encoder)


def test_pictures_of_another_robot_are_prepared_as_published(tmp_path):
    pytest.importorskip("transformers", reason="needs the extra encoders")
    from tests.encoders.published.picture_layouts import write_pictures

    write_pictures(tmp_path / "dinov2", "dinov2")
    cache = f"cache={tmp_path / 'cache'}"
    source = REAL / "pusht_video"
    assert train(source, tmp_path / "dinov2", tmp_path / "out", cache) == 0
    model = WorldModel.from_pretrained(tmp_path / "out" / "model")
    assert (model.tubelet, model.spec.encoder.patches) == (1, 16)
    size = model.height, model.width
    frames = torch.zeros(1, 2, *size, 3, dtype=torch.uint8)
    context = model.context(model.encode(frames), torch.zeros(1, 1, 2))
    assert torch.isfinite(model.predict(context, torch.zeros(1, 2, 3, 2))).all()


def test_dinov2_trains_and_plans_by_its_name(data, tmp_path, monkeypatch):
    pytest.importorskip("transformers", reason="needs the extra encoders")
    from tests.encoders.published.picture_layouts import write_pictures

    folder = tmp_path / "dinov2"
    write_pictures(folder, "dinov2")

    def snapshot_download(name, **options):
        assert name == "facebook/dinov2-small"
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert train(data, "dinov2_vits14", tmp_path / "out") == 0
    planned(tmp_path / "out" / "model", tmp_path)


def test_another_encoder_than_the_one_trained_on_is_one_line(data, tmp_path, capsys):
    encoder = write_folder(tmp_path / "vjepa2")
    assert train(data, encoder, tmp_path / "out") == 0
    other = write_folder(tmp_path / "other", seed=1)
    capsys.readouterr()
    words = [f"model={tmp_path / 'out' / 'model'}", *EVALUATE]
    words += [f"out={tmp_path / 'run'}"]
    assert main(["evaluate", *words, f"encoder={other}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "was trained on the encoder" in line
    assert line.endswith(
        "give encoder=PATH of the files that it was trained on, or train again"
    )
    assert main(["evaluate", *words, f"encoder={tmp_path / 'nowhere'}"]) == 2
    assert "no encoder at" in capsys.readouterr().err
    assert main(["evaluate", *words, "model=reference", f"encoder={other}"]) == 2
    assert "holds its encoder, one of ours, got encoder=" in capsys.readouterr().err


def test_tokens_that_the_disk_does_not_hold_are_refused(
    data, tmp_path, monkeypatch, capsys
):
    encoder = write_folder(tmp_path / "vjepa2")
    usage = type(shutil.disk_usage(tmp_path))(2**30, 2**30, 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    assert train(data, encoder, tmp_path / "out") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the tokens take 0.00 GiB" in line
    assert "give tokens=FOLDER on a larger disk" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["published.crop=40"], "crop must be a multiple of patch=16, got 40: take 32"),
        (["published.precision=half"], "precision must be one of float32, bfloat16"),
        (["published.weights=encoder"], "holds one encoder, got weights=encoder"),
        (
            ["tabletop.object_dims=7", "tabletop.proprio=6"],
            "object_dims must be at",
        ),
        (["encoder=dinov2_vits15"], "did you mean dinov2_vits14?"),
    ],
)
def test_options_that_do_not_fit_are_one_line(options, message, data, tmp_path, capsys):
    encoder = write_folder(tmp_path / "vjepa2")
    capsys.readouterr()
    assert train(data, encoder, tmp_path / "out", *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()
