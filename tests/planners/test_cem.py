"""The cross-entropy method's own settings."""

from dataclasses import replace

import pytest
import torch

from planners import CEM, MPC, Guess


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 10, "elites": 30}, r"elites must be in \[2, samples=10\], got 30"),
        ({"elites": 1}, r"elites must be in \[2, samples=300\], got 1"),
        ({"iterations": 0}, r"iterations must be in \[1, 100000\], got 0"),
        ({"std": 0.0}, "std must be positive, got 0.0"),
        ({"std": float("nan")}, "std must be positive, got nan"),
        ({"std": float("inf")}, "std must be finite, got inf"),
        ({"min_std": -0.1}, "min_std must be finite and at least 0.0, got -0.1"),
        ({"mean_momentum": 1.0}, r"mean_momentum must be in \[0, 1\), got 1.0"),
        ({"kept": 31}, r"kept must be in \[0, elites=30\] .* got 31"),
        ({"samples": 30, "kept": 30}, "below samples=30, got 30"),
        ({"correlation": 1.0}, r"correlation must be in \[0, 1\), got 1.0"),
        ({"try_mean": False}, "kept must be 0 where try_mean is false, got 2"),
        ({"ddof": 2}, r"ddof must be in \[0, 1\], got 2"),
        ({"l1_dims": -1}, "l1_dims must be at least 0, got -1"),
        ({"answer": "best"}, "answer must be 'cheapest' or 'mean', got 'best'"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        CEM(**settings)


def test_the_std_shrinks_to_its_floor_and_no_further(squared_distance):
    target = torch.zeros(2, 3, 2)
    planner = CEM(samples=100, elites=10, iterations=20, min_std=0.07)
    plan = planner.plan(squared_distance(target), target, torch.arange(2))
    assert plan.next_guess.std is not None
    assert plan.next_guess.std.min() >= 0.07
    assert plan.next_guess.std.max() < 0.08


def test_one_refit_without_momentum_is_the_moments_of_the_elites(
    squared_distance, recording
):
    target = torch.full((1, 2, 2), 0.4)
    cost = squared_distance(target)
    seen = []

    recorded = recording(cost, seen)

    planner = CEM(50, 7, iterations=1, min_std=0.0, answer="mean")
    planner = replace(planner, mean_momentum=0.0, std_momentum=0.0)
    plan = planner.plan(recorded, torch.zeros(1, 2, 2), torch.tensor([3]))
    candidates, last_mean = seen[0][0], seen[1][0, 0]
    elites = candidates[cost(seen[0])[0].argsort()[:7]]
    torch.testing.assert_close(last_mean, elites.mean(dim=0))
    after = plan.next_guess
    assert after.std is not None
    assert after.elites is not None
    torch.testing.assert_close(after.std[0], elites.std(dim=0, correction=0))
    assert torch.equal(after.elites[0], elites[:2])


def test_momentum_slows_the_mean(squared_distance):
    cost = squared_distance(torch.full((1, 2, 2), 0.8))
    guess, seeds = torch.zeros(1, 2, 2), torch.tensor([0])
    moved = []
    for momentum in (0.0, 0.5):
        planner = CEM(100, 10, 1, mean_momentum=momentum, answer="mean")
        moved.append(planner.plan(cost, guess, seeds).actions)
    assert moved[0].abs().min() > 0
    torch.testing.assert_close(moved[1], moved[0] * 0.5)


def test_kept_elites_are_remembered_when_later_candidates_are_worse():
    # Costs rise from call to call: only what was seen first can stay the best.
    calls = []

    def cost(actions):
        calls.append(actions)
        return torch.full(actions.shape[:2], float(len(calls)))

    planner = CEM(samples=20, elites=4, iterations=3, kept=4)
    plan = planner.plan(cost, torch.zeros(1, 2, 1), torch.tensor([0]))
    assert plan.elite_cost[:, 0].tolist() == [1.0, 1.0, 1.0]
    assert plan.next_guess.elites is not None
    assert torch.equal(plan.next_guess.elites[0], calls[0][0, :4])
    forgetful = CEM(samples=20, elites=4, iterations=3, kept=0)
    calls.clear()
    plan = forgetful.plan(cost, torch.zeros(1, 2, 1), torch.tensor([0]))
    assert plan.elite_cost[:, 0].tolist() == [1.0, 2.0, 3.0]
    assert plan.cost.tolist() == [1.0]


def test_the_std_of_the_guess_rules_the_first_iteration(squared_distance):
    target = torch.full((1, 2, 2), 0.9)
    guess = Guess(torch.zeros(1, 2, 2), std=torch.full((1, 2, 2), 1e-3))
    plan = CEM(50, 5, iterations=1, kept=0).plan(
        squared_distance(target), guess, torch.tensor([0])
    )
    assert plan.actions.abs().max() < 0.01


def test_it_can_answer_with_the_mean(squared_distance, recording):
    cost, asked = squared_distance(torch.full((2, 3, 2), 0.4)), []

    recorded = recording(cost, asked)

    planner = CEM(40, 8, iterations=2, answer="mean")
    guess, seeds = torch.zeros(2, 3, 2), torch.arange(2)
    plan = planner.plan(recorded, guess, seeds)
    assert torch.equal(plan.actions, asked[-1][:, 0])

    def forbidden(actions):  # two shores: the mean drowns
        return torch.where(actions[..., 0, 0].abs() < 0.5, torch.nan, 1.0)

    drowned = planner.plan(forbidden, guess, seeds)
    assert not drowned.invalid.any()
    assert drowned.actions[:, 0, 0].abs().min() >= 0.5


def test_it_answers_with_the_cheapest_candidate(squared_distance, recording):
    cost, asked = squared_distance(torch.full((2, 3, 2), 0.4)), []

    recorded = recording(cost, asked)

    planner = CEM(40, 8, iterations=2)
    guess, seeds = torch.zeros(2, 3, 2), torch.arange(2)
    plan = planner.plan(recorded, guess, seeds)
    assert [len(some[0]) for some in asked] == [40, 40]
    assert torch.equal(plan.cost, torch.cat([cost(a) for a in asked], 1).amin(1))
    assert torch.equal(plan.cost, cost(plan.actions[:, None])[:, 0])
    mean = replace(planner, answer="mean").plan(cost, guess, seeds)
    assert mean.evaluations == plan.evaluations + 1


def test_the_mean_need_not_be_tried(squared_distance, recording):
    cost, asked = squared_distance(torch.zeros(1, 2, 2)), []

    recorded = recording(cost, asked)

    planner = CEM(40, 8, iterations=2, kept=0, try_mean=False, answer="mean")
    plan = planner.plan(recorded, torch.zeros(1, 2, 2), torch.tensor([0]))
    assert [len(some[0]) for some in asked] == [40, 40, 1]
    assert asked[0][0, 0].abs().max() > 0  # the mean would cost nothing here
    assert plan.cost > 0
    assert planner.room == 1
    again = planner.plan(cost, plan.next_guess, torch.tensor([1]))
    assert again.actions.shape == (1, 2, 2)
    brought = Guess(torch.zeros(1, 2, 2), elites=torch.zeros(1, 3, 2, 2))
    with pytest.raises(ValueError, match="guess.elites must be None where try_mean"):
        planner.plan(cost, brought, torch.tensor([0]))
    with pytest.raises(ValueError, match="must begin with at least 2 candidates"):
        MPC(planner, horizon=2, min_improvement=0.1)


def test_the_variance_can_be_unbiased(squared_distance):
    target = torch.full((2, 2, 2), 0.4)
    stds = []
    for ddof in (0, 1):
        planner = CEM(50, 7, iterations=1, min_std=0.0, std_momentum=0.0, ddof=ddof)
        plan = planner.plan(
            squared_distance(target), torch.zeros(2, 2, 2), torch.arange(2)
        )
        assert plan.next_guess.std is not None
        stds.append(plan.next_guess.std)
    torch.testing.assert_close(stds[1], stds[0] * (7 / 6) ** 0.5)


def test_candidates_stay_in_the_ball(squared_distance, recording):
    asked = []

    recorded = recording(squared_distance(torch.full((1, 2, 3), 0.9)), asked)

    planner = CEM(200, 20, iterations=4, min_std=0.0, kept=0, l1_dims=2)
    guess, seeds = torch.full((1, 2, 3), 0.8), torch.tensor([0])
    plan = planner.plan(recorded, guess, seeds)
    tried = torch.cat(asked, dim=1)
    assert tried[..., :2].abs().sum(-1).max() <= 1 + 1e-6
    assert tried[..., 2].max() == 1.0  # the box holds the other dimension
    assert plan.actions[..., :2].abs().sum(-1).min() > 0.99
    with pytest.raises(ValueError, match="l1_dims must be at most A=3, got 4"):
        replace(planner, l1_dims=4).plan(recorded, guess, seeds)


def test_a_plan_in_the_ball_does_not_depend_on_its_company(squared_distance):
    target = torch.linspace(-1, 1, 5)[:, None, None].expand(5, 2, 3)
    planner = CEM(64, 8, iterations=3, ddof=1, l1_dims=3)
    guess, seeds = torch.zeros(5, 2, 3), torch.arange(5)
    whole = planner.plan(squared_distance(target), guess, seeds)
    for one in range(5):
        some = slice(one, one + 1)
        alone = planner.plan(squared_distance(target[some]), guess[some], seeds[some])
        assert torch.equal(alone.actions, whole.actions[some])
