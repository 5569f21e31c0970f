"""Picture encoders beside the models of transformers that their files were saved by."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.encoders.published.layouts import film
from tests.encoders.published.picture_layouts import FAMILIES, SIDE, write_pictures
from tests.encoders.published.test_vjepa2 import whole
from worldmodel.encoders import Reading, load_encoder
from worldmodel.encoders.published.preparation import prepare
from worldmodel.errors import CheckpointError

pytest.importorskip(
    "transformers",
    reason="needs transformers: pip install worldmodel-planner[encoders]",
)


def theirs(kind, model, pixels):
    """Tokens of the patches, by the model's own forward."""
    if kind == "siglip":
        return model.vision_model(pixel_values=pixels).last_hidden_state
    if kind != "vit_mae":
        return model(pixel_values=pixels).last_hidden_state
    count = (SIDE // 8) ** 2
    noise = torch.linspace(0, 1, count).expand(len(pixels), -1)
    model.vit.embeddings.config.mask_ratio = 0.0
    return model.vit(pixel_values=pixels, noise=noise).last_hidden_state


LEADING = {"dinov2": 1, "dinov2_with_registers": 4, "dinov3_vit": 5}
LEADING |= {"ijepa": 0, "vit_mae": 1, "siglip": 0}


@pytest.mark.parametrize("kind", FAMILIES)
def test_tokens_are_those_of_the_patches_that_transformers_gives(kind, tmp_path):
    model = write_pictures(tmp_path, kind)
    encoder = load_encoder(tmp_path).sized(48, 40)
    spec = encoder.spec
    assert (spec.patches, spec.dim, spec.tubelet) == (16, 24, 1)
    frames = film(2, 3, 48)[..., :40, :]
    latents = encoder.encode(frames)
    pixels = prepare(frames.flatten(0, 1), whole(encoder).spec.preparation)
    with torch.no_grad():
        expected = theirs(kind, model, pixels)[:, LEADING[kind] :]
    assert expected.shape == (6, 16, 24)
    assert expected.std() > 0.1
    torch.testing.assert_close(latents.flatten(0, 1), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(encoder.newest(frames), latents[:, -1])


@pytest.mark.parametrize("kind", FAMILIES)
def test_larger_pictures_give_more_tokens(kind, tmp_path):
    write_pictures(tmp_path, kind)
    encoder = load_encoder(tmp_path, Reading(crop=48))
    tokens = encoder.newest(film(1, 1, 48))
    assert tokens.shape == (1, 36, 24)
    assert torch.isfinite(tokens).all()
    assert encoder.weights_hash != load_encoder(tmp_path).weights_hash


def test_half_precision_keeps_the_hash(tmp_path):
    write_pictures(tmp_path, "dinov2")
    half = load_encoder(tmp_path, Reading(precision="bfloat16"))
    exact = load_encoder(tmp_path)
    assert half.weights_hash == exact.weights_hash
    frames = film(1, 1, 32)
    found, expected = half.newest(frames), exact.newest(frames)
    assert float((found - expected).norm() / expected.norm()) < 0.05


def refused(folder, match, reading=None):
    with pytest.raises(CheckpointError, match=match) as caught:
        load_encoder(folder, reading)
    assert "\n" not in str(caught.value)


def test_every_tensor_has_a_place_and_every_place_a_tensor(tmp_path):
    write_pictures(tmp_path, "dinov2")
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    some = dict(tensors)
    name = next(name for name in some if name.endswith("norm1.weight"))
    del some[name]
    save_file(some, path, {"format": "pt"})
    refused(tmp_path, r"Dinov2Model lacks: .*norm1.weight; take config.json and the t")
    save_file(tensors | {"more.weight": torch.zeros(2)}, path, {"format": "pt"})
    refused(tmp_path, "Dinov2Model has no place for: more.weight")
    save_file(tensors | {name: torch.zeros(5)}, path, {"format": "pt"})
    refused(tmp_path, r"Dinov2Model has another size than config.json says: .*norm1")
    save_file(tensors | {name: torch.full((24,), float("nan"))}, path, {"format": "pt"})
    refused(tmp_path, "norm1.weight holds NaN or infinity")
    path.write_bytes(path.read_bytes()[:1000])
    refused(tmp_path, "model.safetensors is damaged or cut off")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"crop_size": None}, "must tell whole numbers of pixels, got None"),
        ({"size": {"height": 32, "width": 16}, "do_center_crop": False}, "be squares"),
        ({"image_mean": [0.1, 0.2, 0.3]}, "image_mean and image_std must be one of"),
        ({"resample": 0}, r"resample must be one of \[2, 3\] \(bilinear, bicubic\)"),
        ({"do_normalize": False}, "do_normalize must be true, got False"),
    ],
)
def test_a_preparation_that_is_not_known_is_refused(change, match, tmp_path):
    write_pictures(tmp_path, "dinov2")
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    refused(tmp_path, match)
    path.unlink()
    refused(tmp_path, "lacks preprocessor_config.json, .*: download it, too")


def test_options_of_pt_files_and_odd_sides_are_refused(tmp_path):
    write_pictures(tmp_path, "ijepa")
    refused(tmp_path, "heads is for .pt files of V-JEPA 2", Reading(heads=2))
    refused(
        tmp_path,
        "crop must be a multiple of patch=8, got 30: take",
        Reading(crop=30),
    )
