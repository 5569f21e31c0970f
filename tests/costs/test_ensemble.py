import pytest
import torch

from planners import CEM
from worldmodel.costs.ensemble import EnsembleCost, ensemble
from worldmodel.costs.goal_cost import GoalCost

B, N, H, A = 3, 40, 4, 2


def actions(seed: int = 0) -> torch.Tensor:
    return torch.rand(B, N, H, A, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def first(candidates):
    return candidates.square().sum((2, 3))


def second(candidates):
    return (candidates - 0.5).square().sum((2, 3)) * 3


def test_all_judge_all_where_no_number_is_given():
    cost = ensemble([first, second], judged=0)
    torch.testing.assert_close(
        cost(actions()), (first(actions()) + second(actions())) / 2
    )


def test_one_predictor_is_its_own_cost():
    assert ensemble([first], judged=16) is first


@pytest.mark.parametrize("judged", [2, 16, N])
def test_the_cheapest_are_judged_by_all_and_the_others_rank_behind_them(judged):
    asked = []

    def watched(candidates):
        asked.append(candidates)
        return second(candidates)

    costs = EnsembleCost((first, watched), judged)(actions())
    both, alone = (first(actions()) + second(actions())) / 2, first(actions())
    (some,) = asked
    assert some.shape == (B, judged, H, A)
    for row in range(B):
        ranked = [0, 1, *(2 + alone[row, 2:].argsort()).tolist()]
        kept, left = ranked[:judged], ranked[judged:]
        torch.testing.assert_close(costs[row, kept], both[row, kept])
        if left:
            assert costs[row, left].min() >= costs[row, kept].max()
            gaps = costs[row, left].diff()
            torch.testing.assert_close(gaps, alone[row, left].diff(), atol=1e-5, rtol=0)


def test_a_few_candidates_are_judged_by_all():
    few = actions()[:, :5]
    costs = EnsembleCost((first, second), judged=16)(few)
    assert torch.equal(costs, torch.stack((first(few), second(few))).mean(0))


def test_a_search_does_not_end_where_only_the_first_predictor_sees_something():
    def misled(candidates):
        away = (candidates - 0.6).square().sum((2, 3))
        return first(candidates) - 3 * torch.exp(-20 * away)

    planner = CEM(samples=64, elites=8, iterations=8, std=0.6)
    guess, seeds = torch.zeros(1, 1, A), torch.tensor([0])
    alone = planner.plan(misled, guess, seeds)
    assert (alone.actions - 0.6).abs().max() < 0.1
    honest = EnsembleCost((misled, first, first, first, first), judged=16)
    together = planner.plan(honest, guess, seeds)
    assert together.actions.abs().max() < 0.1


def test_what_is_no_number_stays_none_and_spoils_nothing_else():
    def broken(candidates):
        costs = first(candidates)
        costs[:, 5:30] = torch.nan
        return costs

    costs = EnsembleCost((broken, second), judged=4)(actions())
    assert costs[:, 5:30].isnan().all()
    rest = torch.cat((costs[:, :5], costs[:, 30:]), dim=1)
    assert rest.isfinite().all()


def test_gradients_pass_through_those_that_are_judged():
    varied = actions().requires_grad_()
    costs = EnsembleCost((first, second), judged=16)(varied)
    (gradient,) = torch.autograd.grad(costs.sum(), varied)
    assert gradient.isfinite().all()
    assert (gradient != 0).any(dim=(2, 3)).all()


@pytest.mark.parametrize("judged", [1, -1])
def test_too_few_judged_are_refused(judged):
    message = f"judged must be 0, for all, or at least 2, got {judged}"
    with pytest.raises(ValueError, match=message):
        GoalCost(judged=judged)
