import pytest
import torch

from worldmodel.projectors.projector import Projector, ProjectorSpec

SPEC = ProjectorSpec(patches=4, token_dim=6, reduced=3, hidden=8, dim=5)


@torch.no_grad()
def test_leading_axes_are_kept_and_rows_stay_apart():
    projector = Projector(SPEC).double()
    tokens = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    latents = projector(tokens)
    assert latents.shape == (2, 3, 5)
    torch.testing.assert_close(latents[1, 2], projector(tokens[1, 2]))


@torch.no_grad()
def test_where_a_token_stands_is_not_lost():
    projector = Projector(SPEC)
    tokens = torch.randn(1, 4, 6)
    swapped = tokens[:, [1, 0, 2, 3]]
    assert (projector(tokens) - projector(swapped)).abs().max() > 1e-3


def test_a_spec_that_cannot_be_built_says_why():
    with pytest.raises(ValueError, match="reduced must be at least 1, got 0"):
        ProjectorSpec(reduced=0)
