"""V-JEPA 2 in both file layouts, against what transformers made of the same weights."""

import pytest
import torch
from safetensors.torch import load_file

from tests.encoders.published.layouts import SMALL, Sizes, film, write_folder, write_pt
from worldmodel.encoders import FrozenEncoder, Reading, load_encoder
from worldmodel.encoders.published.encoder import PublishedEncoder
from worldmodel.encoders.published.vjepa2 import VJEPA2, VJEPA2Spec

# Written by `python -m tests.encoders.published.make_reference` (transformers 5.24.0).
REFERENCE = "tests/encoders/published/vjepa2_reference.safetensors"
CASES = {
    "small": (Sizes(), 2),
    "long": (Sizes(), 16),
    "g": (Sizes(dim=132, heads=6, depth=4, hidden=576, crop=32), 4),
    "heads of 64": (Sizes(dim=128, heads=2, depth=2, hidden=512, crop=48), 6),
    "heads of 80": (Sizes(dim=160, heads=2, depth=3, hidden=640, crop=64), 2),
}


def whole(encoder: FrozenEncoder) -> PublishedEncoder:
    assert isinstance(encoder.encoder, PublishedEncoder)
    return encoder.encoder


@pytest.mark.parametrize("name", CASES)
def test_tokens_are_those_that_transformers_gives(name, tmp_path, request):
    sizes, frames = CASES[name]
    expected = load_file(request.config.rootpath / REFERENCE)[name]
    uncut = Reading(resize=sizes.crop)
    encoder = load_encoder(write_folder(tmp_path, sizes), uncut)
    with torch.no_grad():
        found = whole(encoder).tokens(film(2, frames, sizes.crop))[..., :4]
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-5


def test_every_layout_gives_the_same_bits_and_the_same_hash(tmp_path):
    places = [
        write_folder(tmp_path / "one"),
        write_folder(tmp_path / "several", shards=3),
        write_pt(tmp_path / "vit.pt"),
    ]
    heads = [None, None, SMALL.heads]
    encoders = [
        load_encoder(place, Reading(crop=32, heads=count))
        for place, count in zip(places, heads, strict=True)
    ]
    clips = film(1, 2, 32)
    first, *others = (encoder.newest(clips) for encoder in encoders)
    assert first.shape == (1, 4, 32)
    assert first.std() > 0.1
    assert all(torch.equal(first, other) for other in others)
    assert len({encoder.weights_hash for encoder in encoders}) == 1
    assert encoders[2].published_at == str(tmp_path / "vit.pt")


def test_of_a_pt_file_the_target_encoder_is_taken_unless_it_acts(tmp_path):
    path = write_pt(tmp_path / "vit.pt")
    own = load_encoder(path, Reading(crop=32, heads=2))
    online = load_encoder(path, Reading(crop=32, heads=2, weights="encoder"))
    taken = [whole(encoder).spec.weights for encoder in (own, online)]
    assert taken == ["target_encoder", "encoder"]
    other = write_folder(tmp_path / "other", seed=1)
    assert online.weights_hash == load_encoder(other).weights_hash
    assert online.weights_hash != own.weights_hash
    held = torch.load(path, weights_only=True)
    held["predictor"] = {"module.action_encoder.weight": torch.zeros(8, 7)}
    torch.save(held, path)
    assert load_encoder(path, Reading(crop=32, heads=2)).spec == online.spec


def test_a_moment_is_its_last_two_frames_and_a_goal_stands_still(tmp_path):
    encoder = load_encoder(write_folder(tmp_path)).sized(40, 56)
    frames = film(2, 5, 56)[:, :, :40]
    latents = encoder.encode(frames)
    assert latents.shape == (2, 5, 4, 32)
    assert encoder.spec.patches == 4
    torch.testing.assert_close(encoder.newest(frames), latents[:, -1])
    still = frames[:, 2:3].expand(-1, 2, -1, -1, -1)
    torch.testing.assert_close(encoder.newest(frames[:, 2:3]), encoder.newest(still))
    assert not torch.allclose(latents[:, 2], encoder.newest(still))


def test_what_is_encoded_at_once_changes_nothing(tmp_path, monkeypatch):
    encoder = load_encoder(write_folder(tmp_path))
    frames = film(3, 4, 32)
    together = encoder.encode(frames)
    place = "worldmodel.encoders.published.encoder.MOST_TOKENS"
    monkeypatch.setattr(place, 1)
    torch.testing.assert_close(encoder.encode(frames, chunk=5), together)


def test_bfloat16_halves_the_weights_and_keeps_the_hash(tmp_path):
    exact = load_encoder(write_folder(tmp_path))
    half = load_encoder(tmp_path, Reading(precision="bfloat16"))
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert half.weights_hash == exact.weights_hash
    clips = film(1, 2, 32)
    found, expected = half.newest(clips), exact.newest(clips)
    assert found.dtype == torch.float32
    assert float((found - expected).norm() / expected.norm()) < 0.02


@pytest.mark.parametrize(
    ("dim", "depth", "heads", "hidden", "millions", "tensors"),
    [
        (1024, 24, 16, 4096, 303.9, 292),
        (1280, 32, 16, 5120, 631.6, 388),
        (1408, 40, 22, 6144, 1012.2, 484),
    ],
)
def test_the_published_sizes_have_the_published_parameters(
    dim, depth, heads, hidden, millions, tensors
):
    with torch.device("meta"):
        network = VJEPA2(VJEPA2Spec(16, 2, dim, depth, heads, hidden))
        tokens = network(torch.empty(1, 64, 3, 256, 256))
    count = sum(weight.numel() for weight in network.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.05)
    assert len(network.state_dict()) == tensors
    assert tokens.shape == (1, 32 * 256, dim)
