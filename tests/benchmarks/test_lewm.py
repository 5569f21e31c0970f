"""LeWorldModel's predictor, and the same packed."""

import pytest
import torch

from benchmarks.models.lewm import LeWMPredictor, LeWMSpec, _published_names
from benchmarks.models.packed_lewm import PackedLeWM
from worldmodel.errors import CheckpointError

SPEC = LeWMSpec(
    latent_dim=8,
    action_size=3,
    action_mixed=4,
    action_hidden=12,
    depth=2,
    heads=2,
    head_width=6,
    hidden=16,
    projected=10,
)
B, N, D, A = 2, 5, 8, 3


def predictor(window: int = 3) -> LeWMPredictor:
    """With every weight away from where it begins."""
    spec = LeWMSpec(**{**vars(SPEC), "window": window})
    made = LeWMPredictor(spec).requires_grad_(False).eval()
    generator = torch.Generator().manual_seed(0)
    for name, tensor in made.state_dict().items():
        if tensor.is_floating_point():
            values = torch.randn(tensor.shape, generator=generator) * 0.3
            plus = (
                1.0 if "norm" in name and not name.endswith(("bias", "mean")) else 0.0
            )
            tensor.copy_(values.abs() + plus if "var" in name else values + plus)
    return made


def problem(past: int, horizon: int):
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(B, past, D, generator=generator)
    taken = torch.rand(B, past - 1, A, generator=generator) * 2 - 1
    actions = torch.rand(B, N, horizon, A, generator=generator) * 2 - 1
    return latents, taken, actions


@torch.no_grad()
@pytest.mark.parametrize("window", [1, 2, 3])
@pytest.mark.parametrize("past", [1, 2, 3, 5])
@pytest.mark.parametrize("horizon", [1, 2, 6])
def test_packed_in_float32_it_is_the_predictor(window, past, horizon):
    made = predictor(window)
    latents, taken, actions = problem(past, horizon)
    expected = made.rollout(latents, taken, actions)
    assert expected.shape == (B, N, horizon, D)
    found = PackedLeWM(made, torch.float32).rollout(latents, taken, actions)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_packed_in_bfloat16_it_is_near():
    made = predictor()
    latents, taken, actions = problem(2, 5)
    expected = made.rollout(latents, taken, actions)
    found = PackedLeWM(made, torch.bfloat16).rollout(latents, taken, actions)
    assert found.dtype == torch.float32
    assert 0 < (found - expected).abs().mean() < 0.05 * expected.std()


@torch.no_grad()
def test_the_window_and_the_order_of_frames_count():
    made = predictor()
    latents, taken, actions = problem(5, 2)
    whole = made.rollout(latents, taken, actions)
    assert torch.allclose(made.rollout(latents[:, 2:], taken[:, 2:], actions), whole)
    assert not torch.allclose(
        made.rollout(latents[:, 3:], taken[:, 3:], actions), whole
    )
    assert not torch.allclose(made.rollout(latents.flip(1), taken, actions), whole)


def published(made: LeWMPredictor) -> dict[str, torch.Tensor]:
    """A checkpoint under the published names, an encoder's tensor among them."""
    own = made.state_dict()
    tensors = {theirs: own[ours] for theirs, ours in _published_names(2).items()}
    tensors["predictor.pos_embedding"] = tensors["predictor.pos_embedding"][None]
    conv = tensors["action_encoder.patch_embed.weight"]
    tensors["action_encoder.patch_embed.weight"] = conv[..., None]
    return tensors | {"encoder.embeddings.cls_token": torch.zeros(1)}


# As `stable-worldmodel` 0.1.1 saves a LeWorldModel, but for its encoder.
PUBLISHED = """
action_encoder.patch_embed.weight action_encoder.patch_embed.bias
action_encoder.embed.0.weight action_encoder.embed.0.bias
action_encoder.embed.2.weight action_encoder.embed.2.bias
predictor.pos_embedding
predictor.transformer.norm.weight predictor.transformer.norm.bias
pred_proj.net.0.weight pred_proj.net.0.bias pred_proj.net.1.weight pred_proj.net.1.bias
pred_proj.net.1.running_mean pred_proj.net.1.running_var
pred_proj.net.1.num_batches_tracked pred_proj.net.3.weight pred_proj.net.3.bias
"""
OF_LAYER = """
attn.norm.weight attn.norm.bias attn.to_qkv.weight attn.to_out.0.weight
attn.to_out.0.bias mlp.net.0.weight mlp.net.0.bias mlp.net.1.weight mlp.net.1.bias
mlp.net.4.weight mlp.net.4.bias adaLN_modulation.1.weight adaLN_modulation.1.bias
"""


def test_the_published_names_are_these():
    layers = {
        f"predictor.transformer.layers.{layer}.{name}"
        for layer in range(3)
        for name in OF_LAYER.split()
    }
    assert set(_published_names(3)) == {*PUBLISHED.split(), *layers}
    assert len(set(_published_names(3).values())) == len(_published_names(3))


@torch.no_grad()
def test_a_published_checkpoint_becomes_the_same_predictor():
    made = predictor()
    loaded = LeWMPredictor.from_published(published(made), made.spec)
    latents, taken, actions = problem(2, 3)
    expected = made.rollout(latents, taken, actions)
    assert torch.equal(loaded.rollout(latents, taken, actions), expected)


def test_a_checkpoint_that_does_not_fit_is_refused():
    tensors = published(predictor())
    lacking = {k: v for k, v in tensors.items() if "layers.1.mlp.net.4.bias" not in k}
    with pytest.raises(CheckpointError, match=r"lacks \['predictor.*net.4.bias'\]"):
        LeWMPredictor.from_published(lacking, SPEC)
    with pytest.raises(CheckpointError, match=r"unknown \['pred_proj.extra'\]"):
        LeWMPredictor.from_published(
            tensors | {"pred_proj.extra": torch.zeros(1)}, SPEC
        )
    misshapen = tensors | {"pred_proj.net.0.weight": torch.zeros(3, 3)}
    with pytest.raises(CheckpointError, match=r"net.0.weight has shape \(3, 3\)"):
        LeWMPredictor.from_published(misshapen, SPEC)


def test_a_spec_names_what_is_wrong():
    with pytest.raises(ValueError, match="heads must be at least 1, got 0"):
        LeWMSpec(heads=0)
