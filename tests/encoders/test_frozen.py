import torch

from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.encoders import FrozenEncoder, VideoViT, VideoViTSpec

SPEC = VideoViTSpec(height=24, width=24, dim=16, depth=1, heads=2, cell_dim=4)


def encoder(seed: int = 0) -> VideoViT:
    return VideoViT(SPEC, torch.Generator().manual_seed(seed))


def test_frozen_stays_in_eval_mode_and_without_gradient():
    frozen = FrozenEncoder(encoder()).train()
    assert not frozen.encoder.training
    assert not any(weight.requires_grad for weight in frozen.parameters())
    pixels = torch.full((1, 1, 24, 24, 3), 9.0, requires_grad=True)
    assert not frozen.encode(pixels).requires_grad


def test_frozen_encodes_what_the_encoder_encodes():
    frames = torch.full((2, 3, 24, 24, 3), 7, dtype=torch.uint8)
    frames[:, 1:, :12] = 240
    expected = encoder().encode(frames)
    torch.testing.assert_close(FrozenEncoder(encoder())(frames), expected)


def test_the_hash_is_of_the_weights_and_nothing_else():
    frozen = FrozenEncoder(encoder())
    assert frozen.weights_hash == weights_hash(encoder())
    assert frozen.weights_hash != weights_hash(encoder(seed=1))
    with torch.no_grad():
        frozen.encoder.get_parameter("stem.cell.bias")[0] += 1e-7
    assert frozen.weights_hash != weights_hash(encoder())


def test_the_hash_sees_types_and_shapes():
    weight = torch.zeros(2, 3)
    modules = [torch.nn.Module() for _ in range(3)]
    tensors = (weight, weight.T, weight.view(torch.int32))
    for module, tensor in zip(modules, tensors, strict=True):
        module.register_buffer("weight", tensor)
    assert len({weights_hash(module) for module in modules}) == 3
