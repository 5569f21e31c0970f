"""What holds for plans of any shape, guess and seed."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from planners import CEM, CMAES, ICEM, MPPI, Gradient, Guess, RandomShooting, Refine

samples = st.integers(6, 20)
elites = st.integers(2, 6)
few = st.integers(1, 3)
correlation = st.sampled_from([0.0, 0.3, 0.9])
std = st.floats(1e-3, 5.0)
searches = st.one_of(
    st.builds(RandomShooting, samples=samples, std=std, correlation=correlation),
    st.builds(
        CEM,
        samples=samples,
        elites=elites,
        iterations=few,
        std=std,
        mean_momentum=correlation,
        kept=st.integers(0, 2),
        correlation=correlation,
    ),
    st.builds(
        ICEM,
        samples=samples,
        elites=elites,
        iterations=few,
        std=std,
        decay=st.floats(1.0, 3.0),
        kept=st.integers(0, 2),
        colour=st.floats(0.0, 3.0),
    ),
    st.builds(
        MPPI,
        samples=samples,
        elites=elites,
        iterations=few,
        temperature=st.floats(1e-3, 1e3),
        relative=st.booleans(),
        std=std,
        std_momentum=st.sampled_from([0.0, 0.5, 1.0]),
    ),
    st.builds(CMAES, samples=samples, iterations=few, std=st.floats(1e-3, 1.0)),
    st.builds(Gradient, starts=samples, iterations=few, rate=std, std=std),
)
planners = st.one_of(searches, st.builds(Refine, first=searches, then=searches))
shapes = st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 5))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(planners, shapes, st.integers(-(2**63), 2**63 - 1), st.booleans())
def test_plans_fit_the_guess_the_bounds_and_the_problem(planner, shape, seed, known):
    batch, horizon, size = shape
    generator = torch.Generator().manual_seed(seed % 2**31)
    target = torch.rand(shape, generator=generator) * 4 - 2
    mean = torch.rand(shape, generator=generator) * 4 - 2  # beyond the bounds, too
    guess = Guess(mean, elites=mean.flip(0)[:, None] if known else None)
    seeds = torch.full((batch,), seed) + torch.arange(batch)
    asked = []

    def cost_of(goal):
        def cost(actions):
            asked.append(actions.detach().abs().max())
            total = torch.zeros_like(actions[:, :, 0, 0])
            for step in range(horizon):
                for dimension in range(size):
                    gap = (
                        actions[:, :, step, dimension] - goal[:, None, step, dimension]
                    )
                    total = total + gap * gap
            return total

        return cost

    plan = planner.plan(cost_of(target), guess, seeds)
    assert plan.actions.shape == plan.next_guess.mean.shape == shape
    assert plan.cost.shape == plan.invalid.shape == (batch,)
    assert plan.best_cost.shape == plan.elite_cost.shape
    assert max(asked) <= 1.0
    assert plan.actions.abs().max() <= 1.0
    assert not plan.invalid.any()
    assert torch.equal(plan.cost, cost_of(target)(plan.actions[:, None])[:, 0])
    begin = cost_of(target)(mean.clamp(-1, 1)[:, None])[:, 0]
    assert (plan.best_cost[-1] <= begin).all()

    last = slice(batch - 1, batch)
    own = Guess(mean[last], elites=None if guess.elites is None else guess.elites[last])
    alone = planner.plan(cost_of(target[last]), own, seeds[last])
    assert torch.equal(alone.actions, plan.actions[last])
    assert torch.equal(alone.cost, plan.cost[last])
