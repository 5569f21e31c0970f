import pytest
import torch

from worldmodel.encoders.rope import (
    Grid,
    Rotation,
    grid_positions,
    grid_rotation,
    rotate,
    rotation,
    select,
)
from worldmodel.encoders.transformer import Transformer, initialise

HEAD_DIM = 32
GRID = Grid(2, 3, 4)


def gaussian(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_positions_run_through_time_then_rows_then_columns():
    positions = grid_positions(GRID)
    assert positions.shape == (GRID.tokens, 3)
    assert positions[0].tolist() == [0, 0, 0]
    assert positions[1].tolist() == [0, 0, 1]
    assert positions[GRID.width].tolist() == [0, 1, 0]
    assert positions[GRID.patches].tolist() == [1, 0, 0]


def test_rotation_keeps_the_length_of_a_vector():
    x = gaussian(5, GRID.tokens, 4, HEAD_DIM)
    turned = rotate(x, rotation(grid_positions(GRID), HEAD_DIM))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert not torch.allclose(turned, x)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_scores_depend_on_position_differences_only(axis: int):
    query, key = gaussian(2, 1, 1, HEAD_DIM).double()

    def score(at: int, other: int) -> torch.Tensor:
        positions = torch.zeros(2, 1, 3, dtype=torch.int64)
        positions[0, 0, axis], positions[1, 0, axis] = at, other
        turned = rotate(
            torch.stack((query, key)), rotation(positions, HEAD_DIM)
        ).squeeze()
        return turned[0] @ turned[1]

    torch.testing.assert_close(score(7, 4), score(3, 0), rtol=0, atol=1e-5)
    assert not torch.isclose(score(7, 4), score(4, 7), atol=1e-3)
    assert not torch.isclose(score(7, 4), score(6, 4), atol=1e-3)


@pytest.mark.parametrize("offset", [(5, 0, 0), (0, 2, 0), (3, 1, 6)])
def test_a_transformer_does_not_notice_an_offset_of_all_positions(offset):
    stack = Transformer(dim=64, depth=2, heads=2, mlp_ratio=2.0)
    initialise(stack, torch.Generator().manual_seed(0))
    x = gaussian(2, GRID.tokens, 64)
    positions = grid_positions(GRID)
    here = stack(x, rotation(positions, stack.head_dim))
    there = stack(x, rotation(positions + torch.tensor(offset), stack.head_dim))
    stretched = stack(x, rotation(positions * 2, stack.head_dim))
    torch.testing.assert_close(here, there, rtol=0, atol=2e-5)
    assert (here - stretched).abs().max() > 1e-2


def test_each_axis_turns_its_own_third_of_the_pairs():
    cos = rotation(torch.eye(3, dtype=torch.int64), 34).cos  # 17 pairs: 5, 5, 5 and 2
    turned = cos != 1.0
    for axis in range(3):
        expected = torch.zeros(17, dtype=torch.bool)
        expected[5 * axis : 5 * axis + 5] = True
        assert torch.equal(turned[axis], expected)


def test_kept_tokens_get_the_rotation_of_their_place():
    whole = grid_rotation(GRID, HEAD_DIM, 100.0, torch.device("cpu"))
    keep = torch.tensor([[3, 7], [0, 23]])
    expected = rotation(grid_positions(GRID)[keep], HEAD_DIM)
    kept = select(whole, keep)
    assert isinstance(kept, Rotation)
    torch.testing.assert_close(kept.cos, expected.cos)
    torch.testing.assert_close(kept.sin, expected.sin)


def test_tables_first_made_in_inference_mode_can_be_trained_through():
    with torch.inference_mode():
        table = grid_rotation(Grid(1, 5, 7), 8, 50.0, torch.device("cpu"))
    x = gaussian(1, 35, 1, 8).requires_grad_()
    rotate(x, table).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("head_dim", [4, 7])
def test_a_head_too_narrow_or_odd_is_refused(head_dim: int):
    with pytest.raises(ValueError, match=f"even and at least 6, got {head_dim}"):
        rotation(grid_positions(GRID), head_dim)
