from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor

from worldmodel.costs.distances import (
    LatentDistance,
    LearnedDistances,
    LearnedSpec,
    ReadDistance,
    TemporalDistance,
    TemporalDistanceSpec,
)
from worldmodel.costs.goal_cost import GoalCost, RolloutCost, single_costs
from worldmodel.costs.goal_projection import GoalProjectionSpec
from worldmodel.history import Context
from worldmodel.inference.batch_invariant import TILE, TiledCost

B, N, H, A = 2, 5, 3, 2
NOTHING = LearnedDistances()


@dataclass
class Adds:
    """Imagines that each action is added to the latent (B, T, 1, A)."""

    candidates: list[int] = field(default_factory=list)

    def rollout(self, context: Context) -> Callable[[Tensor], Tensor]:
        def imagine(actions: Tensor) -> Tensor:
            self.candidates.append(actions.shape[1])
            here = context.latents[:, -1:, :, :].unsqueeze(1)  # (B, 1, 1, 1, A)
            return here + actions.cumsum(dim=2)[..., None, :]

        return imagine


def context(batch: int = B) -> Context:
    return Context(torch.zeros(batch, 1, 1, A), torch.zeros(batch, 0, A))


def actions(candidates: int = N) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(B, candidates, H, A, generator=generator) * 2 - 1


def planned(
    kind: GoalCost, learned: LearnedDistances, model: Adds | None = None
) -> RolloutCost:
    """The cost of all problems at once."""
    past = context()
    rollout = (model or Adds()).rollout(past)
    return RolloutCost(rollout, kind.toward(GOALS, past, learned))


GOALS = torch.tensor([[[0.5, -0.5]], [[-1.0, 0.0]]])  # (B, 1, A)


def test_the_cost_is_its_formula():
    kind = GoalCost(latent=2.0, running=0.25)
    a = actions()
    found = planned(kind, NOTHING)(a)
    gaps = (a.cumsum(2) - GOALS[:, None]).square().mean(-1)  # (B, N, H)
    expected = 2.0 * (0.75 * gaps[..., -1] + 0.25 * gaps.mean(-1))
    assert found.shape == (B, N)
    torch.testing.assert_close(found, expected)


def test_the_learned_distance_counts_in_shares_of_its_farthest():
    temporal = TemporalDistance(
        TemporalDistanceSpec(GoalProjectionSpec(latent_dim=A), hidden=8)
    )
    learned = LearnedDistances(temporal)
    kind = GoalCost(latent=0.0, temporal=3.0, running=0.0)
    a = actions()
    found = planned(kind, learned)(a)
    share = temporal(a.sum(2), GOALS) / temporal.spec.farthest
    torch.testing.assert_close(found, 3.0 * share)
    both = GoalCost(latent=1.0, temporal=3.0, running=0.0)
    sum_of_both = planned(both, learned)(a)
    alone = planned(GoalCost(running=0.0), NOTHING)(a)
    torch.testing.assert_close(sum_of_both, found + alone)


class Steps(TemporalDistance):
    """The first number of a latent is the distance."""

    def forward(self, latents: torch.Tensor, goals: torch.Tensor) -> torch.Tensor:
        return (latents - goals)[..., 0]


def thing_and_pose() -> LearnedDistances:
    """The first number of a latent is a thing's place, the second the robot's."""
    felt = ReadDistance(A, 1)
    with torch.no_grad():
        felt.readout.weight.copy_(torch.tensor([[0.0, 1.0]]))
    spec = TemporalDistanceSpec(
        GoalProjectionSpec(latent_dim=A, state_dim=1, goal_dim=1), hidden=8
    )
    steps = Steps(spec)
    steps.projection.along(torch.tensor([[1.0, 0.0]]))
    return LearnedDistances(temporal=steps, proprio=felt)


def test_the_pose_counts_once_things_are_where_they_belong():
    felt = ReadDistance(A, 1)
    with torch.no_grad():
        felt.readout.weight.copy_(torch.tensor([[0.0, 1.0]]))
    steps = Steps(TemporalDistanceSpec(GoalProjectionSpec(latent_dim=A), hidden=8))
    learned = LearnedDistances(temporal=steps, proprio=felt)
    kind = GoalCost(latent=0.0, temporal=5.0, proprio_goal=2.0)
    at_goal, there, near, far = [0.0, 0.0], [0.0, 3.0], [1.0, 3.0], [20.0, 0.0]
    latents = torch.tensor([[at_goal], [there], [near], [far]])
    found = kind.distance(latents, torch.zeros(1, A), learned)
    halfway = 2 * (1 - torch.exp(torch.tensor(-1.0)) / 4)
    wanted = torch.stack((torch.tensor(0.0), torch.tensor(1.5), 0.2 + halfway))
    torch.testing.assert_close(found[:3], wanted, atol=1e-3, rtol=0)
    assert found[3].item() == pytest.approx(5 * 20 / 25 + 2.0, abs=1e-3)


def test_near_the_goal_the_latents_tell_parts_of_a_step():
    steps = Steps(TemporalDistanceSpec(GoalProjectionSpec(latent_dim=A), hidden=8))
    learned = LearnedDistances(temporal=steps, latent=LatentDistance(step=0.5))
    kind = GoalCost(latent=0.0, latent_near=2.0)
    at_goal, there, far = [0.0, 0.0], [0.0, 2**0.5], [90.0, 0.0]
    latents = torch.tensor([[at_goal], [there], [far]])
    found = kind.distance(latents, torch.zeros(1, A), learned)
    wanted = torch.tensor([0.0, 2.0 * (1 - 1 / (1 + 1.0 / 0.5)), 2.0])
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=0)


def test_where_nothing_has_to_be_moved_only_the_pose_counts():
    learned = thing_and_pose()
    kind = GoalCost(
        latent=0.0,
        temporal=5.0,
        proprio_goal=2.0,
        move_threshold=0.4,
    )
    latents = torch.tensor([[[0.5, 3.0]], [[0.5, 3.0]]])
    moves = torch.tensor([False, True])
    found = kind.distance(latents, torch.zeros(1, A), learned, moves)
    pose, arriving = 2.0 * 3 / 4, 5.0 * 0.5 / 25
    wanted = torch.tensor([pose, arriving])
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=0)
    unknown = kind.distance(latents, torch.zeros(1, A), learned)
    torch.testing.assert_close(unknown, wanted[[1, 1]], atol=1e-3, rtol=0)


def test_something_has_to_be_moved_unless_a_first_moment_shows_it_in_place():
    learned = thing_and_pose()
    kind = GoalCost(latent=0.0, temporal=1.0, move_threshold=0.4)
    places = [[2.0, 0.3, 2.0], [2.0, 2.0, 0.5], [0.4, 2.0, 2.0]]  # (B, S)
    beginning = torch.tensor(places)[..., None, None].expand(3, 3, 1, A)
    found = kind.moves(beginning, torch.zeros(3, 1, A), learned)
    assert found is not None
    assert found.tolist() == [False, True, False]
    assert replace(kind, move_threshold=0.0).moves(beginning, GOALS, learned) is None
    assert kind.moves(beginning, GOALS, NOTHING) is None


def test_a_later_first_moment_makes_the_pose_count():
    learned = thing_and_pose()
    kind = GoalCost(
        latent=0.0, temporal=5.0, proprio_goal=2.0, move_threshold=0.4, running=0.0
    )
    latents = torch.tensor([[2.0, 3.0], [0.1, 3.0]])[None, :, None]  # (1, T, 1, A)
    seen = Context(latents, torch.zeros(1, 1, 1))
    hidden = Context(latents[:, :1], torch.zeros(1, 0, 1))
    future = latents[:, None, 1:]  # (1, N=1, H=1, 1, A)
    goals = torch.zeros(1, 1, A)
    pose = kind.toward(goals, seen, learned)(future)
    assert pose.item() == pytest.approx(2.0 * 3 / 4, abs=1e-3)
    arriving = kind.toward(goals, hidden, learned)(future)
    assert arriving.item() == pytest.approx(5.0 * 0.1 / 25, abs=1e-3)
    assert torch.equal(kind.along(future, goals, learned), arriving)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("proprio_goal", "has no learned distance"),
        ("temporal", "the model has no learned distance"),
    ],
)
def test_a_cost_of_what_was_not_learned_says_so(name, message):
    kind = replace(GoalCost(), **{name: 1.0})
    cost = planned(kind, NOTHING)
    with pytest.raises(ValueError, match=message):
        cost(actions())


def test_single_costs_are_those_that_were_learned():
    assert [*single_costs(NOTHING)] == ["latent"]
    costs = single_costs(thing_and_pose())
    assert costs == {"latent": GoalCost(), "temporal": GoalCost(0.0, temporal=1.0)}


def test_to_read_nothing_is_refused():
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        ReadDistance(latent_dim=A, size=0)
    with pytest.raises(ValueError, match="proprio must be at least 0, got -1"):
        LearnedSpec(proprio=-1)


@pytest.mark.usefixtures("threads")
def test_a_cost_is_the_same_in_every_batch_and_at_every_place():
    a = actions(TILE + 9)
    model, past = Adds(), context(1)

    def alone(goal: Tensor) -> RolloutCost:
        return RolloutCost(model.rollout(past), GoalCost().toward(goal, past, NOTHING))

    costs = [alone(goal) for goal in GOALS.split(1)]
    whole = TiledCost(costs)(a)
    assert set(model.candidates) == {TILE}  # memory is bounded, shapes are fixed
    for b, cost in enumerate(costs):
        turned = TiledCost([cost])(a[b : b + 1].flip(1))
        assert torch.equal(turned[0].flip(0), whole[b])


def test_chunks_do_not_matter_and_bound_memory():
    model, a = Adds(), actions(9)
    whole = planned(GoalCost(), NOTHING)(a)
    few = replace(planned(GoalCost(), NOTHING, model), chunk=4)
    assert torch.equal(few(a), whole)
    assert max(model.candidates) == 4 // B


def test_the_cost_can_be_differentiated():
    a = actions().requires_grad_()
    planned(GoalCost(), NOTHING)(a).sum().backward()
    assert a.grad is not None
    assert (a.grad.abs().sum(-1) > 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latent": -1.0}, "latent must be finite and at least 0, got -1.0"),
        ({"temporal": float("nan")}, "temporal must be finite and at least 0, got nan"),
        ({"latent": 0.0}, r"one of \[.*\] must be above 0, all are 0"),
        ({"running": 1.5}, r"running must be in \[0, 1\], got 1.5"),
    ],
)
def test_a_cost_that_measures_nothing_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        GoalCost(**change)
