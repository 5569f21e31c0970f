"""Encoders by name, of which a stand-in of the hub copies files."""

import fnmatch
import shutil
import sys

import huggingface_hub
import pytest

from tests.encoders.published.layouts import write_folder
from worldmodel.encoders import load_encoder
from worldmodel.encoders.published.loading import is_published
from worldmodel.encoders.published.names import NAMES
from worldmodel.errors import CheckpointError


def test_a_name_brings_what_is_needed_and_nothing_else(tmp_path, monkeypatch):
    there, here = write_folder(tmp_path / "there", shards=2), tmp_path / "here"
    (there / "pytorch_model.bin").write_text("a pickle")
    asked = []

    def snapshot_download(name, *, repo_type, revision, allow_patterns):
        asked.append((name, repo_type, revision))
        here.mkdir(exist_ok=True)
        for file in there.iterdir():
            if any(fnmatch.fnmatch(file.name, p) for p in allow_patterns):
                shutil.copy(file, here)
        return str(here)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    encoder = load_encoder("vjepa2_vitl")
    assert encoder.published_at == "vjepa2_vitl"
    assert not (here / "pytorch_model.bin").exists()
    load_encoder("hub:owner/name@main")
    vitl = "facebook/vjepa2-vitl-fpc64-256"
    assert asked == [(vitl, "model", None), ("owner/name", "model", "main")]


def test_a_hub_that_cannot_be_reached_says_what_to_download(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError) as caught:
        load_encoder("dinov2_vits14")
    assert str(caught.value) == (
        "the model facebook/dinov2-small is not here, and the hub cannot be reached: "
        "download config.json, preprocessor_config.json, model*.safetensors* of "
        "huggingface.co/facebook/dinov2-small to a folder where there is a network, "
        "and give that folder instead"
    )


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match=r"install worldmodel-planner\[hub\]; or"):
        load_encoder("dinov2_vits14")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("dinov2_vits15", "no encoder at dinov2_vits15, did you mean dinov2_vits14.?"),
        ("nothing", r"no encoder at nothing: give a \.pt file, a folder, hub:owner/na"),
        ("a/b.pt", r"no encoder at a/b\.pt: give a file or a folder that is there"),
        ("hub:only", "no encoder at hub:only"),
        ("hub:a/b/c", "no encoder at hub:a/b/c"),
    ],
)
def test_a_name_that_is_none_is_refused(name, match):
    with pytest.raises(CheckpointError, match=match):
        load_encoder(name)


def test_published_encoders_are_told_from_ours(tmp_path):
    assert all(is_published(name) for name in NAMES)
    assert is_published("hub:owner/name")
    assert is_published(write_folder(tmp_path / "theirs"))
    assert not is_published(tmp_path / "runs" / "pretrain" / "encoder")
    ours = tmp_path / "ours"
    ours.mkdir()
    (ours / "config.json").write_text('{"kind": "encoder"}')
    assert not is_published(ours)
