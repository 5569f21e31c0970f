"""Descent through the cost."""

import pytest
import torch

from planners import Gradient, Guess


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"starts": 0}, r"starts must be in \[1, 1000000\], got 0"),
        ({"iterations": 0}, r"iterations must be in \[1, 100000\], got 0"),
        ({"rate": 0.0}, "rate must be positive, got 0.0"),
        ({"std": 0.0}, "std must be positive, got 0.0"),
        ({"correlation": 1.0}, r"correlation must be in \[0, 1\), got 1.0"),
        ({"budget_ms": 0}, "budget_ms must be positive, got 0"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Gradient(**settings)


def test_a_cost_without_a_gradient_is_refused():
    def cost(actions):
        return actions.detach().square().sum(dim=(2, 3))

    with pytest.raises(ValueError, match="needs a cost that is differentiable"):
        Gradient().plan(cost, torch.zeros(1, 2, 1), torch.tensor([0]))


def test_the_steps_are_those_of_adam(squared_distance):
    target, seen = torch.full((1, 2, 2), 0.9), []

    def cost(actions):
        seen.append(actions.detach().clone())
        return squared_distance(target)(actions)

    guess = torch.tensor([[[0.0, 0.5], [-0.5, 0.2]]])
    Gradient(starts=1, iterations=5, rate=0.05).plan(cost, guess, torch.tensor([0]))
    place, mean, square = guess[0].double(), torch.zeros(2, 2), torch.zeros(2, 2)
    for step in range(1, 6):
        slope = 2 * (place - 0.9)
        mean = 0.9 * mean + 0.1 * slope
        square = 0.999 * square + 0.001 * slope**2
        change = (mean / (1 - 0.9**step)) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
        place = place - 0.05 * change
        torch.testing.assert_close(seen[step][0, 0], place.float())


def test_it_stays_inside_the_bounds_where_the_minimum_is_outside(squared_distance):
    target = torch.tensor([[[3.0, -2.0, 0.4]]])
    plan = Gradient(starts=4, iterations=60, rate=0.1).plan(
        squared_distance(target), torch.zeros(1, 1, 3), torch.tensor([0])
    )
    torch.testing.assert_close(plan.actions, target.clamp(-1, 1), atol=2e-3, rtol=0)


def test_several_starts_find_what_one_does_not():
    def cost(actions):  # a shallow valley at 0.6, a deep one at -0.6
        place = actions[:, :, 0, 0]
        return -torch.exp(-(((place + 0.6) / 0.2) ** 2)) - 0.5 * torch.exp(
            -(((place - 0.6) / 0.2) ** 2)
        )

    guess, seeds = torch.full((8, 1, 1), 0.4), torch.arange(8)
    alone = Gradient(starts=1, iterations=40, rate=0.05).plan(cost, guess, seeds)
    several = Gradient(starts=16, iterations=40, rate=0.05, std=1.0)
    together = several.plan(cost, guess, seeds)
    assert (alone.actions - 0.6).abs().max() < 0.02
    assert (together.actions + 0.6).abs().max() < 0.02


def test_a_start_without_a_finite_slope_stays_and_the_others_go_on():
    def cost(actions):  # the root's slope at 0 is infinite
        return actions.sum(dim=(2, 3)).abs().sqrt()

    start = Guess(torch.zeros(1, 1, 1), elites=torch.full((1, 1, 1, 1), 0.5))
    plan = Gradient(starts=2, iterations=3, rate=0.1).plan(
        cost, start, torch.tensor([0])
    )
    assert plan.cost.tolist() == [0.0]
    assert plan.elite_cost.isfinite().all()
    assert (plan.elite_cost.diff(dim=0) < 0).all()


def test_a_cost_that_the_actions_do_not_enter_is_refused():
    weight = torch.ones(1, requires_grad=True)

    def cost(actions):
        return weight * actions.detach().sum(dim=(2, 3))

    with pytest.raises(ValueError, match="needs a cost that is differentiable"):
        Gradient().plan(cost, torch.zeros(1, 2, 1), torch.tensor([0]))


def test_inference_mode_is_refused_by_its_name(squared_distance):
    cost, guess = squared_distance(torch.zeros(1, 2, 1)), torch.zeros(1, 2, 1)
    with (
        torch.inference_mode(),
        pytest.raises(RuntimeError, match=r"can not plan in torch\.inference_mode"),
    ):
        Gradient().plan(cost, guess, torch.tensor([0]))


def test_all_its_costs_are_asked_for_with_a_gradient(squared_distance):
    quadratic, asked = squared_distance(torch.full((1, 2, 1), 0.5)), []

    def cost(actions):  # cheaper where no gradient is asked for: they do not compare
        asked.append(actions.requires_grad)
        return quadratic(actions) - (0.0 if actions.requires_grad else 100.0)

    plan = Gradient(2, 3).plan(cost, torch.zeros(1, 2, 1), torch.tensor([0]))
    assert asked == [True] * 4
    assert plan.cost >= 0
