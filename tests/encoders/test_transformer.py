import pytest
import torch
import torch.nn.functional as F

from worldmodel.encoders.transformer import Attention, Transformer, attend, initialise


@pytest.mark.parametrize("tokens", [3, 600])
def test_attention_equals_the_library_kernel(tokens: int):
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 2, 2, tokens, 8, generator=generator)
    expected = F.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(attend(query, key, value), expected)


def test_residual_writers_start_smaller_in_a_deeper_stack():
    def spread(depth: int) -> float:
        stack = Transformer(dim=64, depth=depth, heads=2, mlp_ratio=2.0)
        initialise(stack, torch.Generator().manual_seed(0))
        return stack.blocks[0].get_parameter("contract.weight").std().item()

    assert spread(8) == pytest.approx(spread(2) / 2, rel=0.05)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="multiple of heads=3, got 64"):
        Attention(64, 3)
