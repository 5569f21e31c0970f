"""The nearest point of an L1 ball."""

import torch

from planners.bounds import in_l1_ball


def test_what_is_inside_stays_and_what_is_outside_comes_to_the_surface():
    actions = torch.tensor([[0.2, -0.3, 0.4, 9.0], [1.0, -1.0, 0.0, 9.0]])
    moved = in_l1_ball(actions, 3)
    assert torch.equal(moved[0], actions[0])
    assert moved[1].tolist() == [0.5, -0.5, 0.0, 9.0]
    assert in_l1_ball(actions, 0) is actions


def test_no_point_of_the_ball_is_nearer():
    generator = torch.Generator().manual_seed(0)
    given = torch.randn(50, 4, generator=generator, dtype=torch.float64)
    nearest = in_l1_ball(given, 4)
    assert nearest.abs().sum(-1).max() <= 1 + 1e-12
    # A projection on a convex set: every other point lies behind the plane there.
    others = torch.randn(1000, 4, generator=generator, dtype=torch.float64)
    others = others / others.abs().sum(-1, keepdim=True)
    gap = ((given - nearest)[:, None] * (others - nearest[:, None])).sum(-1)
    assert gap.max() <= 1e-12
