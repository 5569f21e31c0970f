import pytest
import torch

from worldmodel.costs.distances import (
    TemporalDistance,
    TemporalDistanceSpec,
)
from worldmodel.costs.goal_projection import GoalProjectionSpec


def test_a_distance_is_between_zero_and_its_farthest_value():
    spec = TemporalDistanceSpec(
        GoalProjectionSpec(latent_dim=3), hidden=8, discount=0.9
    )
    distance = TemporalDistance(spec)
    latents, goals = 50 * torch.randn(4, 5, 3), torch.randn(4, 1, 3)
    steps = distance(latents, goals)
    assert steps.shape == (4, 5)
    assert spec.farthest == pytest.approx(10.0)
    assert (steps >= 0).all()
    assert (steps <= spec.farthest).all()
    torch.testing.assert_close(steps[2, 3], distance(latents[2, 3], goals[2, 0]))


def test_a_distance_that_reads_looks_only_along_its_directions():
    distance = TemporalDistance(
        TemporalDistanceSpec(GoalProjectionSpec(3, state_dim=2), hidden=8)
    )
    distance.projection.along(torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]))
    latents, goals = torch.randn(4, 3), torch.randn(4, 3)
    unseen = latents + torch.tensor([0.0, 0.0, 5.0])
    assert torch.equal(distance(unseen, goals), distance(latents, goals))
    turned = latents + torch.tensor([0.0, 5.0, 0.0])
    assert not torch.equal(distance(turned, goals), distance(latents, goals))
    assert not any(
        "read" in n for n, p in distance.named_parameters() if p.requires_grad
    )
    with pytest.raises(ValueError, match=r"must be .*\(2, 3\).*got \(3, 3\)"):
        distance.projection.along(torch.eye(3))


def test_only_the_aim_of_a_goal_counts():
    spec = TemporalDistanceSpec(
        GoalProjectionSpec(3, state_dim=2, goal_dim=1), hidden=8, success_radius=0.5
    )
    distance = TemporalDistance(spec)
    distance.projection.along(torch.eye(3)[:2])
    latents, goals = torch.randn(4, 3), torch.randn(4, 3)
    elsewhere = goals + torch.tensor([0.0, 5.0, 5.0])
    assert torch.equal(distance(latents, elsewhere), distance(latents, goals))
    moved = latents + torch.tensor([0.0, 5.0, 0.0])
    assert not torch.equal(distance(moved, goals), distance(latents, goals))
    close = elsewhere + torch.tensor([0.4, 0.0, 0.0])
    assert distance.arrived(close, goals).all()
    assert not distance.arrived(close + torch.tensor([0.2, 0.0, 0.0]), goals).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"success_radius": -0.1}, "success_radius must be at least 0, got -0.1"),
        ({"discount": 1.0}, r"discount must be in \(0, 1\), got 1.0"),
        ({"hidden": 0}, "hidden must be at least 1, got 0"),
    ],
)
def test_a_spec_that_cannot_be_built_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        TemporalDistanceSpec(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state_dim": -1}, "state_dim must be at least 0, got -1"),
        (
            {"state_dim": 3, "goal_dim": 4},
            r"goal_dim must be in \[0, state_dim=3\], got 4",
        ),
        ({"latent_dim": 0}, "latent_dim must be at least 1, got 0"),
    ],
)
def test_a_look_that_cannot_be_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        GoalProjectionSpec(**change)
