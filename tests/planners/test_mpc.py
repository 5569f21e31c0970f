"""Receding horizon."""

from dataclasses import replace

import pytest
import torch

from planners import CEM, MPC, MPPI, Guess, Plan, RandomShooting
from planners.noise import fold

RATE = 0.2  # [s]


class _Recorder:
    """A planner that answers with its seeds and remembers what it was asked."""

    room, kept = 100, 1

    def __init__(self):
        self.asked = []

    def plan(self, cost, guess, seeds):
        self.asked.append((guess, seeds))
        steps = torch.arange(1.0, 1 + guess.mean.shape[1])
        actions = (steps[:, None] / 10).expand_as(guess.mean).clone()
        values = torch.zeros(len(seeds))
        after = Guess(actions, torch.ones_like(actions), actions[:, None])
        return Plan(actions, values, after, values > 0, 1, values[None], values[None])


def _advance(position, velocity, push):
    return position + RATE * velocity, velocity + RATE * push


def _cost_from(position, velocity, goal):
    def cost(actions):
        place, speed = position[:, None], velocity[:, None]  # (B, 1, A)
        total = torch.zeros_like(actions[:, :, 0, 0])
        for step in range(actions.shape[2]):
            place, speed = _advance(place, speed, actions[:, :, step])
            total = total + ((place - goal[:, None]) ** 2 + 0.1 * speed**2).sum(dim=-1)
        return total

    return cost


def _drive(mpc, goal, seeds, steps):
    position, velocity = torch.zeros_like(goal), torch.zeros_like(goal)
    state = mpc.start(seeds, action_size=goal.shape[1])
    while state.control_step < steps:
        cost = _cost_from(position, velocity, goal)
        actions, _, state = mpc.step(cost, state)
        for push in actions.unbind(dim=1):
            position, velocity = _advance(position, velocity, push)
    return position, velocity


@pytest.mark.parametrize("execute", [1, 3])
@pytest.mark.parametrize(
    "planner",
    [
        CEM(samples=64, elites=8, iterations=3, correlation=0.5),
        MPPI(samples=64, elites=12, iterations=3, correlation=0.5),
        RandomShooting(samples=300, std=0.5, correlation=0.5),
    ],
    ids=lambda planner: type(planner).__name__,
)
def test_a_double_integrator_reaches_its_goal_and_stays(planner, execute):
    goal = torch.tensor([[1.0, -0.5], [-0.7, 0.2], [0.0, 1.2]])
    mpc = MPC(planner, horizon=12, execute=execute)
    position, velocity = _drive(mpc, goal, torch.arange(3), steps=36)
    assert (position - goal).abs().max() < 0.1
    assert velocity.abs().max() < 0.25


def test_control_is_the_same_bits_alone_and_in_a_batch():
    goal = torch.tensor([[1.0, -0.5], [-0.7, 0.2], [0.0, 1.2]])
    mpc = MPC(CEM(samples=32, elites=4, iterations=2), horizon=6, warm_std=0.5)
    together = _drive(mpc, goal, torch.tensor([5, 6, 7]), steps=8)
    alone = _drive(mpc, goal[1:2], torch.tensor([6]), steps=8)
    assert torch.equal(alone[0], together[0][1:2])
    assert torch.equal(alone[1], together[1][1:2])


def test_a_warm_start_comes_nearer_to_the_optimum_than_a_cold_one():
    goal = torch.linspace(-0.6, 0.6, 40).view(20, 2)
    planner = CEM(samples=64, elites=8, iterations=2)
    mpc, seeds = MPC(planner, horizon=8), torch.arange(20)
    position, velocity = torch.zeros_like(goal), torch.zeros_like(goal)
    cold_state = state = mpc.start(seeds, action_size=2)
    for _ in range(4):
        cost = _cost_from(position, velocity, goal)
        actions, _, state = mpc.step(cost, state)
        position, velocity = _advance(position, velocity, actions[:, 0])
    cost = _cost_from(position, velocity, goal)
    thorough = CEM(samples=300, elites=30, iterations=20, min_std=0.0)
    optimal = thorough.plan(cost, state.guess, seeds).cost
    _, warm, _ = mpc.step(cost, state)
    _, cold, _ = mpc.step(cost, cold_state)
    assert (warm.cost - optimal).mean() < 0.6 * (cold.cost - optimal).mean()


def test_each_step_searches_with_fresh_seeds_and_the_shifted_plan():
    recorder, seeds = _Recorder(), torch.tensor([4, 9])
    mpc = MPC(recorder, horizon=4, execute=2, warm_std=0.3)
    state = mpc.start(seeds, action_size=3)
    assert state.guess.std is None
    actions, _, state = mpc.step(lambda actions: actions[..., 0, 0], state)
    mpc.step(lambda actions: actions[..., 0, 0], state)
    assert actions.shape == (2, 2, 3)
    assert torch.equal(recorder.asked[0][1], fold(seeds, 0))
    guess, second_seeds = recorder.asked[1]
    assert torch.equal(second_seeds, fold(seeds, 2))
    assert guess.mean[0, :, 0].tolist() == pytest.approx([0.3, 0.4, 0.0, 0.0])
    assert torch.equal(guess.std, torch.full((2, 4, 3), 0.3))
    assert torch.equal(guess.elites[:, 0], guess.mean)


def test_the_final_std_of_a_plan_is_not_carried_on():
    guess = Guess(torch.ones(1, 3, 2), std=torch.full((1, 3, 2), 0.01))
    assert guess.later(1).std is None


def test_invalid_plans_go_on_with_the_rest_of_the_last_valid_one():
    mpc = MPC(CEM(samples=32, elites=4, iterations=2), horizon=5)
    goal = torch.tensor([[1.0]])
    cost = _cost_from(torch.zeros(1, 1), torch.zeros(1, 1), goal)
    state = mpc.start(torch.tensor([0]), action_size=1)
    _, valid, state = mpc.step(cost, state)
    nothing = torch.full((1, 32), torch.nan)
    for step in (1, 2):
        actions, plan, state = mpc.step(lambda a: nothing[:, : a.shape[1]], state)
        assert plan.invalid.all()
        assert torch.equal(actions[:, 0], valid.actions[:, step])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"horizon": 4, "execute": 5}, r"execute must be in \[1, horizon=4\], got 5"),
        ({"horizon": 4, "execute": 0}, r"execute must be in \[1, horizon=4\], got 0"),
        ({"horizon": 0}, r"horizon must be in \[1, 1000\], got 0"),
        ({"horizon": 4, "warm_std": 0.0}, "warm_std must be positive, got 0.0"),
        ({"horizon": 4, "warm_std": float("inf")}, "warm_std must be finite, got inf"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MPC(CEM(), **settings)


def test_a_plan_that_gains_too_little_waits():
    def gains(actions):  # what a plan asks for, of the second problem ten times less
        return -torch.tensor([[1.0], [0.1]]) * actions.sum(dim=(-2, -1))

    class _Fixed(_Recorder):
        def plan(self, cost, guess, seeds):
            cost(torch.cat([guess.mean[:, None], guess.elites], dim=1))
            plan = super().plan(cost, guess, seeds)
            return replace(plan, cost=cost(plan.actions[:, None])[:, 0])

    planner = _Fixed()
    mpc = MPC(planner, horizon=3, warm_std=0.3, min_improvement=0.2)
    actions, _, state = mpc.step(gains, mpc.start(torch.arange(2), action_size=1))
    torch.testing.assert_close(actions.flatten(), torch.tensor([0.1, 0.0]))
    later, waiting = state.guess.mean[..., 0]
    torch.testing.assert_close(later, torch.tensor([0.2, 0.3, 0.0]))
    torch.testing.assert_close(waiting, torch.tensor([0.1, 0.2, 0.3]))
    assert state.guess.elites is not None
    torch.testing.assert_close(state.guess.elites[:, 0], state.guess.mean)


def test_where_actions_say_where_to_be_waiting_holds_what_does_nothing():
    class _Fixed(_Recorder):
        def plan(self, cost, guess, seeds):
            cost(torch.cat([guess.mean[:, None], guess.elites], dim=1))
            begins.append(guess)
            plan = super().plan(cost, guess, seeds)
            return replace(plan, cost=cost(plan.actions[:, None])[:, 0])

    begins = []
    idle = torch.tensor([[0.6], [-0.4]])
    mpc = MPC(_Fixed(), horizon=3, warm_std=0.3, min_improvement=50.0)
    state = mpc.start(torch.arange(2), action_size=1)
    actions, _, state = mpc.step(
        lambda actions: actions.sum(dim=(-2, -1)), state, idle=idle
    )
    torch.testing.assert_close(actions[:, 0], idle)
    still = idle[:, None].expand(2, 3, 1)
    torch.testing.assert_close(begins[0].mean, still)  # the first search begins there
    torch.testing.assert_close(begins[0].elites[:, 0], still)
    mpc.step(lambda actions: actions.sum(dim=(-2, -1)), state, idle=-idle)
    assert not torch.equal(begins[1].mean, -still)  # later ones where the last ended
    torch.testing.assert_close(begins[1].elites[:, 0], -still)


def test_where_actions_say_where_to_be_a_plan_stays_where_it_ends():
    guess = Guess(torch.tensor([[[0.1], [0.2], [0.3]]]))
    later = guess.later(2, stays=True).mean.flatten()
    torch.testing.assert_close(later, torch.tensor([0.3, 0.3, 0.3]))
    none = guess.later(0, stays=True).mean
    torch.testing.assert_close(none, guess.mean)


def test_an_invalid_plan_does_not_wait():
    class _Lost(_Recorder):
        def plan(self, cost, guess, seeds):
            cost(torch.cat([guess.mean[:, None], guess.elites], dim=1))
            plan = super().plan(cost, guess, seeds)
            lost = torch.full_like(plan.cost, torch.inf)
            return replace(plan, cost=lost, invalid=lost > 0)

    mpc = MPC(_Lost(), horizon=3, min_improvement=0.2)
    state = mpc.start(torch.arange(2), action_size=1)
    actions, _, _ = mpc.step(lambda actions: actions.sum(dim=(-2, -1)), state)
    assert (actions == 0.1).all()


def test_at_the_goal_a_reluctant_controller_stands_still():
    def bumpy(actions):  # flat but for small bumps: nothing to gain
        return 1 + 0.01 * torch.sin(40 * actions).sum(dim=(-2, -1))

    planner = CEM(samples=64, elites=8, iterations=3)
    state = MPC(planner, 4).start(torch.arange(2), action_size=2)
    eager, _, _ = MPC(planner, 4).step(bumpy, state)
    still, _, _ = MPC(planner, 4, min_improvement=0.2).step(bumpy, state)
    assert eager.abs().max() > 0.01
    assert (still == 0).all()


def test_reluctance_must_not_be_negative():
    with pytest.raises(ValueError, match="min_improvement must be .* at least 0.*-1"):
        MPC(CEM(), 4, min_improvement=-1.0)


def test_a_search_begins_with_what_is_proposed_and_its_variations():
    wanted = torch.tensor([0.9, -0.8])
    asked = []

    def cost(actions: torch.Tensor) -> torch.Tensor:
        return (actions - wanted).square().sum((-2, -1))

    def propose(noise: torch.Tensor) -> torch.Tensor:
        asked.append(noise)
        return (wanted + noise).clamp(-1, 1)

    planner = CEM(samples=8, elites=2, iterations=1, std=0.01)
    mpc = MPC(planner, horizon=3, proposals=4, proposal_std=0.5)
    state = mpc.start(torch.tensor([5, 6, 7]), 2)
    actions, plan, after = mpc.step(cost, state, propose)
    torch.testing.assert_close(plan.cost, torch.zeros(3))
    torch.testing.assert_close(actions, wanted.expand(3, 1, 2))
    assert asked[0].shape == (3, 4, 3, 2)
    assert (asked[0][:, 0] == 0).all()
    mpc.step(cost, after, propose)
    assert not torch.equal(asked[0], asked[1])
    mpc.step(cost, mpc.start(torch.tensor([6]), 2), propose)
    assert torch.equal(asked[2][0], asked[0][1])
    _, alone, _ = mpc.step(cost, state)
    assert (alone.cost > 1).all()
    _, deaf, _ = MPC(planner, horizon=3, proposals=0).step(cost, state, propose)
    assert torch.equal(deaf.cost, alone.cost)
    assert len(asked) == 3


@pytest.mark.parametrize("name", ["proposals", "proposal_std"])
def test_proposals_must_not_be_negative(name):
    with pytest.raises(ValueError, match=f"{name} must be .*at least 0.*-1"):
        replace(MPC(CEM(), 4), **{name: -1})


def test_held_actions_are_searched_for_once_and_executed_as_often():
    recorder, shapes = _Recorder(), []

    def cost(actions):
        shapes.append(actions)
        return actions.sum(dim=(-2, -1))

    class _Asking(_Recorder):
        def plan(self, cost, guess, seeds):
            cost(guess.mean[:, None] + 0.5)
            return recorder.plan(cost, guess, seeds)

    mpc = MPC(_Asking(), horizon=6, execute=2, hold=2, proposals=0)
    actions, plan, state = mpc.step(cost, mpc.start(torch.arange(2), 3))
    assert plan.actions.shape == (2, 3, 3)
    assert shapes[0].shape == (2, 1, 6, 3)
    assert actions[0, :, 0].tolist() == pytest.approx([0.1, 0.1])
    assert state.control_step == 2
    assert state.guess.mean[0, :, 0].tolist() == pytest.approx([0.2, 0.3, 0.0])
    assert state.last is not None
    assert torch.equal(state.last, actions[:, -1])
    assert mpc.every_step(plan.actions).shape == (2, 6, 3)


def test_proposals_are_asked_for_at_every_step_and_taken_where_an_action_begins():
    steps = torch.arange(6.0).div(10).view(1, 1, 6, 1)
    seen = []

    def cost(actions):
        seen.append(actions)
        return actions.sum(dim=(-2, -1))

    def propose(noise):
        return steps.expand_as(noise)

    mpc = MPC(CEM(8, 2, 1, std=1e-6), horizon=6, execute=3, hold=3, proposals=2)
    mpc.step(cost, mpc.start(torch.arange(1), 1), propose)
    proposed = seen[0][0, 1, :, 0].tolist()
    assert proposed == pytest.approx([0.0, 0.0, 0.0, 0.3, 0.3, 0.3])


@pytest.mark.parametrize(("horizon", "execute", "hold"), [(5, 2, 2), (6, 1, 2)])
def test_hold_must_divide_horizon_and_execute(horizon, execute, hold):
    with pytest.raises(ValueError, match=f"hold must divide horizon={horizon} and"):
        MPC(CEM(), horizon, execute, hold=hold)


def test_a_search_without_room_for_what_is_given_is_refused_before_it_begins():
    message = "at least 11 candidates: the mean, kept=9 .* it begins with 10"
    with pytest.raises(ValueError, match=message):
        MPC(CEM(10, 9, kept=9), horizon=4, min_improvement=0.1)
    mpc = MPC(CEM(10, 9, kept=9), horizon=4, proposals=3)
    state = mpc.start(torch.arange(1), 1)
    mpc.step(lambda actions: actions.sum(dim=(-2, -1)), state)  # nobody proposes
    with pytest.raises(ValueError, match="proposals must be at most 0, .* got 3"):
        mpc.step(lambda actions: actions.sum(dim=(-2, -1)), state, lambda noise: noise)


def test_a_reluctant_controller_names_a_cost_of_the_wrong_shape():
    mpc = MPC(CEM(8, 4), horizon=3, min_improvement=0.1)
    state = mpc.start(torch.arange(2), 1)
    with pytest.raises(ValueError, match=r"must return \(B, N\) = \(2, 8\)"):
        mpc.step(lambda actions: actions.sum(dim=(-3, -2, -1)), state)
