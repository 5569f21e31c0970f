"""Files that are wrong, cut off, unsafe or of another architecture: one line each."""

import json
import os
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.encoders.published.layouts import (
    Sizes,
    film,
    write_folder,
    write_newer_pt,
    write_pt,
)
from tests.encoders.published.test_vjepa2 import whole
from worldmodel.encoders import Reading, load_encoder
from worldmodel.errors import CheckpointError

READING = Reading(crop=32, heads=2)


class Runs:
    """A pickle that would run code."""

    def __reduce__(self):
        return (os.system, ("true",))


def refused(place, match, reading=READING):
    with pytest.raises(CheckpointError, match=match) as caught:
        load_encoder(place, reading)
    assert "\n" not in str(caught.value)


def changed(folder, change):
    """Changes the tensors of a folder."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    return folder


def test_a_file_of_something_else_is_refused(tmp_path):
    text = tmp_path / "vit.pt"
    text.write_text("not weights")
    refused(text, "is no whole file of torch.save .* has 11 bytes.* download it again")
    picture = tmp_path / "vit.png"
    picture.write_text("a picture")
    refused(picture, r"must be a \.pt file of V-JEPA 2 or a folder .* got a \.png file")
    other = tmp_path / "other.pt"
    torch.save({"model": {"weight": torch.zeros(2)}}, other)
    refused(
        other,
        "must hold encoder or target_encoder or ema_encoder, got model: take a file",
    )
    torch.save([torch.zeros(2)], other)
    refused(other, r"must hold parts by name \(a dict\), got list")


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_a_truncated_pt_file_is_refused(share, tmp_path):
    path = write_pt(tmp_path / "vit.pt")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(path, "it was cut off, or is something else; download it again")


def test_a_pickle_that_asks_for_code_is_refused_and_not_run(tmp_path):
    path = tmp_path / "vit.pt"
    torch.save({"target_encoder": Runs()}, path)
    refused(path, r"asks for code to be run \(GLOBAL \w+\.system\), which is never")


def test_a_pt_file_with_wrong_bytes_is_one_line(tmp_path):
    path = write_pt(tmp_path / "vit.pt")
    whole_file = path.read_bytes()
    begin = whole_file.index(b"data.pkl") + len("data.pkl")
    said = []
    for place in range(begin, begin + 200, 5):
        content = bytearray(whole_file)
        content[place] ^= 0xFF
        path.write_bytes(content)
        try:
            load_encoder(path, READING)
        except CheckpointError as error:
            said.append(str(error))
    assert len(said) > 20
    assert not [text for text in said if "\n" in text or "weights_only" in text]


def test_a_truncated_folder_is_refused(tmp_path):
    folder = write_folder(tmp_path / "one")
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    refused(
        folder, r"model.safetensors is damaged or cut off \(.*\): download it again"
    )
    file.unlink()
    refused(folder, "must hold model.safetensors, or model.safetensors.index.json")
    (folder / "pytorch_model.bin").write_bytes(b"")
    refused(folder, "got pytorch_model.bin, which may run code: download them too")
    shards = write_folder(tmp_path / "several", shards=3)
    (shards / "model-00002-of-00003.safetensors").unlink()
    refused(shards, "lacks model-00002-of-00003.safetensors, which .* names: download")
    index = write_folder(tmp_path / "index", shards=2) / "model.safetensors.index.json"
    told = json.loads(index.read_text())
    told["weight_map"]["encoder.more"] = "../model.safetensors"
    index.write_text(json.dumps(told))
    refused(index.parent, "must have a weight_map of tensors to names of files beside")


def test_every_tensor_has_a_place_and_every_place_a_tensor(tmp_path):
    def without(name):
        return lambda tensors: tensors.pop(name)

    def of(name, *shape):
        return lambda tensors: tensors.update({name: torch.zeros(*shape)})

    for number, (change, match) in enumerate(
        [
            (without("encoder.layernorm.bias"), r"missing: norm.bias \(32,\)"),
            (of("encoder.more.weight", 2), "extra: encoder.more.weight"),
            (of("encoder.layer.1.norm1.bias", 3), "misshapen: blocks.1.norm1.bias"),
            (without("encoder.layer.0.attention.key.bias"), "lacks blocks.0.attn.k"),
            (of("encoder.layer.7.norm1.bias", 32), "num_hidden_layers must be 3,"),
        ]
    ):
        refused(changed(write_folder(tmp_path / str(number)), change), match)
    path = write_pt(tmp_path / "vit.pt")
    held = torch.load(path, weights_only=True)
    held["target_encoder"]["norm.bias"] = torch.zeros(32)
    torch.save(held, path)
    refused(path, "must hold each tensor once, got norm.bias twice, as norm.bias")
    held = torch.load(write_pt(path), weights_only=True)
    torch.save(held | {"surprise": torch.zeros(2)}, path)
    refused(path, "holds surprise beside its encoder, known are predictor, epoch")


def test_a_number_that_is_none_is_refused(tmp_path):
    folder = write_folder(tmp_path)
    changed(folder, lambda some: some["encoder.layernorm.bias"].fill_(float("nan")))
    refused(folder, "norm.bias holds NaN or infinity: download it again")


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        (
            "model_type",
            "bert",
            "model_type must be one of vjepa2, dinov2.* got 'bert'",
        ),
        ("hidden_size", 64, "hidden_size must be 32, as the tensors are, got 64"),
        ("num_hidden_layers", 3, "num_hidden_layers must be 2, as the tensors are"),
        (
            "mlp_ratio",
            3,
            "hidden_size x mlp_ratio must be 64, as .*, got 96",
        ),
        ("patch_size", 14, "patch_size must be 16, as the tensors are, got 14"),
        ("num_attention_heads", 5, "dim / heads must be an even integer of at least 6"),
        ("num_attention_heads", "2", "num_attention_heads must be a whole number"),
        (
            "hidden_act",
            "silu",
            "hidden_act must be 'gelu', as in every publ",
        ),
        ("qkv_bias", False, "qkv_bias must be True"),
    ],
)
def test_an_architecture_that_does_not_match_is_refused(key, value, match, tmp_path):
    path = write_folder(tmp_path) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    refused(tmp_path, match, Reading())


def test_the_newer_layout_is_read_whole_or_not_at_all(tmp_path):
    path = write_newer_pt(tmp_path / "vit.pt")
    held = torch.load(path, weights_only=True)
    del held["target_encoder"]["module.backbone.video_mod_embed"]
    torch.save(held, path)
    refused(path, "missing: video_mod_embed")
    held["target_encoder"]["module.backbone.norms_block.4.bias"] = torch.zeros(32)
    torch.save(held, path)
    refused(path, "extra: norms_block.4.bias")
    folder = write_folder(tmp_path / "vjepa2")
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.embeddings.video_mod_embed"] = torch.zeros(1, 1, 32)
    save_file(tensors, folder / "model.safetensors")
    refused(
        folder, "so it is V-JEPA 2.1, which is read from .pt files alone", Reading()
    )


def test_what_a_pt_file_does_not_tell_has_to_be_given(tmp_path):
    path = write_pt(tmp_path / "vit.pt")
    refused(
        path,
        "width 32, and the heads are known for 768, 1024, 1280, 1408, 1664 only",
        Reading(),
    )
    held = torch.load(path, weights_only=True)
    del held["target_encoder"]
    torch.save(held, path)
    refused(path, "must hold target_encoder, got encoder, .*: give weights=encoder")
    refused(
        write_folder(tmp_path / "one"),
        "holds one encoder, got weights=encoder: leave that out",
        Reading(weights="encoder"),
    )
    refused(tmp_path / "one", "heads is 2, got heads=4: leave", Reading(heads=4))


def test_a_picture_that_the_patch_does_not_divide_is_refused(tmp_path):
    folder = write_folder(tmp_path, Sizes(crop=40))
    refused(folder, "crop must be a multiple of patch=16, got 40: take 32", Reading())
    network = whole(load_encoder(folder, Reading(crop=48))).network
    assert network is not None
    with pytest.raises(ValueError, match="width must be a multiple of patch=16 pixels"):
        network(torch.zeros(1, 2, 3, 32, 40))


def test_a_clip_that_is_too_short_is_refused(tmp_path):
    encoder = whole(load_encoder(write_folder(tmp_path)))
    with pytest.raises(ValueError, match="multiple of tubelet=2 frames, got 3: repeat"):
        encoder.tokens(film(1, 3, 32))
    assert encoder.network is not None
    with pytest.raises(ValueError, match="multiple of tubelet=2 frames, got 1: repeat"):
        encoder.network(torch.zeros(1, 1, 3, 32, 32))
    with pytest.raises(ValueError, match=r"frames must be uint8 \(B, T, 32, 32, 3\)"):
        encoder.tokens(film(1, 2, 48))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (
            {"weights": "ema"},
            "weights must be encoder, target_encoder, ema_encoder or null",
        ),
        ({"precision": "float16"}, "precision must be one of float32, bfloat16, got"),
        ({"crop": 0}, r"crop must be a whole number in \[1, 16384\] or null, got 0"),
        ({"heads": 2.0}, "heads must be a whole number"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        Reading(**options)


def test_a_square_that_is_larger_than_the_picture_is_refused(tmp_path):
    reading = Reading(resize=16)
    refused(write_folder(tmp_path), "resize must be at least crop=32, or 0", reading)


def test_without_transformers_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    config = {"model_type": "dinov2", "patch_size": 8, "hidden_size": 24}
    (tmp_path / "config.json").write_text(json.dumps(config))
    imagenet = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    told = {"size": {"height": 32, "width": 32}, **imagenet}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(told))
    needs = r"needs transformers: pip install worldmodel-planner\[encoders\]"
    refused(tmp_path, needs, Reading())
