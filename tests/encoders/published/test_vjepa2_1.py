"""V-JEPA 2.1's .pt files, against what the official code made of the same weights."""

import pytest
import torch
from safetensors.torch import load_file

from tests.encoders.published.layouts import Sizes, film, write_newer_pt
from tests.encoders.published.make_reference_2_1 import CASES, FILE
from tests.encoders.published.test_vjepa2 import whole
from worldmodel.encoders import Reading, load_encoder

READING = Reading(crop=32, heads=2)


@pytest.mark.parametrize("name", CASES)
def test_tokens_are_those_that_the_official_code_gives(name, tmp_path):
    sizes, frames = CASES[name]
    expected = load_file(FILE)[name]
    reading = Reading(crop=sizes.crop, resize=sizes.crop, heads=sizes.heads)
    encoder = load_encoder(write_newer_pt(tmp_path / "vit.pt", sizes), reading)
    found = whole(encoder).tokens(film(2, frames, sizes.crop))[..., :4]
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-5


@pytest.mark.parametrize("key", ["target_encoder", "ema_encoder"])
def test_the_encoder_that_its_hub_code_takes_is_taken(key, tmp_path):
    path = write_newer_pt(tmp_path / "vit.pt", key=key)
    encoder = load_encoder(path, READING)
    assert whole(encoder).spec.weights == key
    assert whole(encoder).spec.family == "vjepa2_1"
    held = torch.load(path, weights_only=True)
    held["encoder"] = {name: tensor + 0.1 for name, tensor in held[key].items()}
    torch.save(held, path)
    assert load_encoder(path, READING).weights_hash == encoder.weights_hash


def test_as_published_it_sees_384_pixels_and_knows_its_heads(tmp_path):
    path = write_newer_pt(tmp_path / "vit.pt", Sizes(dim=768, hidden=32, depth=1))
    spec = whole(load_encoder(path)).spec
    assert (spec.preparation.crop, spec.preparation.resize) == (384, 438)
    assert spec.latents == 24 * 24


def test_a_grid_of_one_patch_is_refused(tmp_path):
    encoder = load_encoder(
        write_newer_pt(tmp_path / "vit.pt"), Reading(crop=16, heads=2)
    )
    with pytest.raises(ValueError, match="patch=16 pixels, of at least 32, got 16"):
        encoder.newest(film(1, 2, 16))
