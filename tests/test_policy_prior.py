import pytest
import torch

from worldmodel.costs.distances import TemporalDistance, TemporalDistanceSpec
from worldmodel.costs.goal_projection import GoalProjectionSpec
from worldmodel.history import Context
from worldmodel.inference.predictor import PredictorCopy
from worldmodel.policy_prior import PolicyPrior, PolicyPriorSpec, PriorProposals
from worldmodel.predictors import ActionPredictor, ActionPredictorSpec

D, A = 4, 3


def packed(predictor: ActionPredictor) -> PredictorCopy:
    return PredictorCopy(predictor, torch.float32)


def parts() -> tuple[PolicyPrior, ActionPredictor]:
    torch.manual_seed(0)
    policy_prior = PolicyPrior(
        PolicyPriorSpec(
            GoalProjectionSpec(D, state_dim=3, goal_dim=1), action_size=A, hidden=8
        )
    )
    policy_prior.projection.along(torch.eye(D)[:3])
    spec = ActionPredictorSpec(latent_dim=D, action_size=A, width=8, heads=2)
    return policy_prior.eval(), ActionPredictor(spec).eval()


def test_a_habit_answers_inside_the_bounds_and_sees_only_the_aim_of_a_goal():
    policy_prior, _ = parts()
    latents, goals = 50 * torch.randn(5, D), torch.randn(5, D)
    actions = policy_prior(latents, goals)
    assert actions.shape == (5, A)
    assert (actions.abs() <= 1).all()
    elsewhere = goals + torch.tensor([0.0, 9.0, 9.0, 9.0])
    assert torch.equal(policy_prior(latents, elsewhere), actions)
    assert not torch.equal(policy_prior(latents, goals + 1), actions)


def test_proposals_follow_the_habit_where_imagination_leads():
    policy_prior, predictor = parts()
    context = Context(torch.randn(2, 3, 1, D), torch.rand(2, 2, A) * 2 - 1)
    goal = torch.randn(2, 1, D)
    proposed = PriorProposals(policy_prior, packed(predictor), context, goal)(
        torch.zeros(2, 2, 5, A)
    )
    torch.testing.assert_close(proposed[:, 0], proposed[:, 1])
    taken = proposed[:, :1]
    future = predictor.rollout(context.latents[:, :, 0], context.actions, taken)
    before = torch.cat((context.latents[:, -1:, 0], future[:, 0, :-1]), dim=1)
    with torch.no_grad():
        torch.testing.assert_close(policy_prior(before, goal), taken[:, 0])


@pytest.mark.usefixtures("threads")
def test_proposals_of_a_problem_do_not_depend_on_the_batch():
    policy_prior, predictor = parts()
    context = Context(torch.randn(5, 2, 1, D), torch.rand(5, 1, A))
    goal, noise = torch.randn(5, 1, D), 0.1 * torch.randn(5, 4, 6, A)
    together = PriorProposals(policy_prior, packed(predictor), context, goal)(noise)
    for b in range(5):
        one = PriorProposals(
            policy_prior, packed(predictor), context.problem(b), goal[b : b + 1]
        )
        assert torch.equal(one(noise[b : b + 1])[0], together[b])


@pytest.mark.usefixtures("threads")
def test_a_goal_is_reached_where_less_than_a_step_is_left():
    policy_prior, predictor = parts()
    context = Context(torch.randn(64, 2, 1, D), torch.rand(64, 1, A))
    goal = torch.randn(64, 1, D)
    distance = TemporalDistance(TemporalDistanceSpec(GoalProjectionSpec(D)))
    with torch.no_grad():
        distance.leave.weight.mul_(20)
        distance.leave.bias.sub_(3)
        steps = distance(context.latents[:, -1, 0], goal[:, 0])
    now = PriorProposals(
        policy_prior, packed(predictor), context, goal, distance=distance
    ).arrived()
    assert torch.equal(now, steps < 1)
    assert now.any()
    assert not now.all()
    unjudged = PriorProposals(policy_prior, packed(predictor), context, goal)
    assert not unjudged.arrived().any()


def test_a_habit_that_cannot_be_built_says_why():
    with pytest.raises(ValueError, match="hidden must be at least 1, got 0"):
        PolicyPriorSpec(hidden=0)
    with pytest.raises(ValueError, match="action_size must be at least 1, got 0"):
        PolicyPriorSpec(action_size=0)
