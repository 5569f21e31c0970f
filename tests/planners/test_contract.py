"""What every planner promises, whatever its method."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from planners import CEM, CMAES, ICEM, MPPI, Gradient, Guess, RandomShooting, Refine

PLANNERS = [
    RandomShooting(samples=64),
    RandomShooting(samples=50, std=0.3, correlation=0.5),
    CEM(samples=64, elites=9, iterations=4),
    CEM(samples=33, elites=5, iterations=3, kept=0, correlation=0.6),
    CEM(samples=40, elites=8, iterations=3, answer="mean"),
    MPPI(samples=64, elites=10, iterations=4),
    MPPI(samples=31, elites=31, iterations=2, temperature=2.0, correlation=0.3),
    MPPI(40, 12, iterations=3, temperature=1.0, relative=False, std_momentum=1.0),
    ICEM(samples=64, elites=9, iterations=4),
    ICEM(samples=40, elites=5, iterations=3, kept=0, decay=1.0, colour=0.5),
    CMAES(samples=24, iterations=5),
    Gradient(starts=16, iterations=6),
    Gradient(starts=9, iterations=3, rate=0.3, std=[0.2, 0.5, 1.0], correlation=0.4),
    Refine(CEM(samples=32, elites=5, iterations=2), Gradient(starts=6, iterations=3)),
    Refine(RandomShooting(samples=32), CEM(samples=20, elites=4, iterations=2)),
]
every_planner = pytest.mark.parametrize(
    "planner", PLANNERS, ids=lambda planner: type(planner).__name__
)


def _iterations(planner: Any) -> int:
    if isinstance(planner, Refine):
        return _iterations(planner.first) + _iterations(planner.then)
    return getattr(planner, "iterations", 1)


def _with_more_samples(planner: Any, more: int) -> Any:
    """The same planner with more candidates, in the first search where it has two."""
    if isinstance(planner, Refine):
        return replace(planner, first=_with_more_samples(planner.first, more))
    name = "starts" if isinstance(planner, Gradient) else "samples"
    return replace(planner, **{name: getattr(planner, name) + more})


BATCH, HORIZON, ACTIONS = 7, 4, 3


def _problems(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shape = (BATCH, HORIZON, ACTIONS)
    target = torch.rand(shape, generator=generator, dtype=dtype) * 3 - 1.5
    guess = torch.rand(shape, generator=generator, dtype=dtype) * 2 - 1
    return target, guess, torch.arange(10, 10 + BATCH)


def _values(plan):
    guess = plan.next_guess
    per_problem = [plan.actions, plan.cost, plan.invalid, guess.mean, guess.std]
    if guess.elites is not None:
        per_problem.append(guess.elites)
    return [*per_problem, plan.best_cost.T, plan.elite_cost.T]


def _assert_same_bits(plan, other):
    for value, expected in zip(_values(plan), _values(other), strict=True):
        assert torch.equal(value, expected)


@every_planner
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_plan_has_the_shapes_and_the_dtype_of_the_guess(
    planner, dtype, squared_distance
):
    target, guess, seeds = _problems(dtype)
    iterations = _iterations(planner)
    plan = planner.plan(squared_distance(target), guess, seeds)
    assert plan.actions.shape == plan.next_guess.mean.shape == guess.shape
    assert plan.actions.dtype == plan.cost.dtype == plan.best_cost.dtype == dtype
    assert plan.cost.shape == plan.invalid.shape == (BATCH,)
    assert plan.best_cost.shape == plan.elite_cost.shape == (iterations, BATCH)
    assert not plan.invalid.any()


@every_planner
def test_all_candidates_and_the_plan_lie_in_the_bounds(planner, squared_distance):
    target, guess, seeds = _problems()
    quadratic = squared_distance(target)
    seen = []

    def cost(actions):
        seen.append(actions.detach().clone())
        return quadratic(actions)

    start = Guess(guess * 5, std=torch.full_like(guess, 4.0))
    plan = planner.plan(cost, start, seeds)
    for actions in [*seen, plan.actions]:
        assert actions.abs().max() <= 1.0
    assert torch.equal(seen[0][:, 0], (guess * 5).clamp(-1, 1))


@every_planner
def test_evaluations_are_counted_and_the_cost_is_that_of_the_actions(
    planner, squared_distance
):
    target, guess, seeds = _problems()
    quadratic = squared_distance(target)
    counts = []

    def cost(actions):
        counts.append(actions.shape[1])
        return quadratic(actions)

    plan = planner.plan(cost, guess, seeds)
    assert plan.evaluations == sum(counts)
    assert torch.equal(plan.cost, quadratic(plan.actions[:, None])[:, 0])


@every_planner
def test_the_best_cost_never_rises_and_improves_on_the_guess(planner, squared_distance):
    target, guess, seeds = _problems()
    cost = squared_distance(target)
    plan = planner.plan(cost, guess, seeds)
    assert (plan.best_cost.diff(dim=0) <= 0).all()
    assert (plan.best_cost[0] < cost(guess[:, None])[:, 0]).all()
    assert (plan.elite_cost >= plan.best_cost).all()


@every_planner
def test_a_plan_is_the_same_bits_in_every_batch_and_place(planner, squared_distance):
    target, guess, seeds = _problems()
    together = planner.plan(squared_distance(target), guess, seeds)
    order = torch.tensor([4, 0, 6, 1, 5, 2, 3])
    shuffled = planner.plan(squared_distance(target[order]), guess[order], seeds[order])
    for value, expected in zip(_values(shuffled), _values(together), strict=True):
        assert torch.equal(value, expected[order])
    for problem in range(BATCH):
        one = slice(problem, problem + 1)
        alone = planner.plan(squared_distance(target[one]), guess[one], seeds[one])
        for value, expected in zip(_values(alone), _values(together), strict=True):
            assert torch.equal(value, expected[one])


@every_planner
@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_plan_is_the_same_bits_among_sixteen(planner, size, squared_distance):
    generator = torch.Generator().manual_seed(2)
    target, guess = torch.rand((2, 16, 5, 3), generator=generator) * 2.4 - 1.2
    guess, seeds = guess.clamp(-1, 1), torch.arange(30, 46)
    sixteen = planner.plan(squared_distance(target), guess, seeds)
    for begin in (0, 16 - size):
        some = slice(begin, begin + size)
        plan = planner.plan(squared_distance(target[some]), guess[some], seeds[some])
        for value, expected in zip(_values(plan), _values(sixteen), strict=True):
            assert torch.equal(value, expected[some])


@every_planner
def test_a_plan_is_the_same_bits_under_any_chunking_of_the_cost(
    planner, squared_distance
):
    target, guess, seeds = _problems()
    cost = squared_distance(target)

    def chunked(actions):
        return torch.cat([cost(chunk) for chunk in actions.split(17, dim=1)], dim=1)

    _assert_same_bits(
        planner.plan(chunked, guess, seeds), planner.plan(cost, guess, seeds)
    )


GRAIN = 2**15  # values above which torch splits elementwise work among threads


@every_planner
def test_a_plan_is_the_same_bits_on_one_thread_and_on_two(planner):
    batch = 1 + GRAIN // (planner.room * 36)
    generator = torch.Generator().manual_seed(1)
    target = torch.rand((batch, 12, 3), generator=generator)

    def cost_to(target):
        def cost(actions):
            squares = (actions - target[:, None]).square()
            return squares[:, :, 0, 0] + squares[:, :, -1, 2]

        return cost

    guess, seeds = torch.zeros(batch, 12, 3), torch.arange(batch)
    plans, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            plans.append(planner.plan(cost_to(target), guess, seeds))
    finally:
        torch.set_num_threads(before)
    one, two = plans
    _assert_same_bits(one, two)
    last = slice(batch - 1, batch)
    alone = planner.plan(cost_to(target[last]), guess[last], seeds[last])
    assert torch.equal(alone.actions, one.actions[last])


@every_planner
def test_more_samples_begin_with_the_same_candidates(planner, squared_distance):
    target, guess, seeds = _problems()
    first = []
    for more in (0, 40):
        seen = []

        def cost(actions, seen=seen):
            seen.append(actions.detach().clone())
            return squared_distance(target)(actions)

        _with_more_samples(planner, more).plan(cost, guess, seeds)
        first.append(seen[0])
    assert first[1].shape[1] == first[0].shape[1] + 40
    assert torch.equal(first[0], first[1][:, : first[0].shape[1]])


@every_planner
def test_plans_depend_on_the_seed_and_on_nothing_hidden(planner, squared_distance):
    target, guess, seeds = _problems()
    cost = squared_distance(target)
    plan = planner.plan(cost, guess, seeds)
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    _assert_same_bits(planner.plan(cost, guess, seeds), plan)
    after = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    assert (before["key"] == after["key"]).all()
    assert before["pos"] == after["pos"]
    other = planner.plan(cost, guess, seeds + 100)
    assert (other.elite_cost != plan.elite_cost).all()


@every_planner
def test_a_problem_without_a_finite_cost_is_invalid_and_keeps_its_guess(
    planner, squared_distance
):
    target, guess, seeds = _problems()
    quadratic = squared_distance(target)
    broken = {1: torch.nan, 3: torch.inf, 4: -torch.inf}

    def cost(actions):
        values = quadratic(actions)
        for problem, value in broken.items():
            values[problem] = value
        return values

    plan = planner.plan(cost, guess, seeds)
    healthy = planner.plan(quadratic, guess, seeds)
    rows = list(broken)
    assert plan.invalid.nonzero().flatten().tolist() == rows
    assert torch.equal(plan.actions[rows], guess[rows])
    assert torch.equal(plan.next_guess.mean[rows], guess[rows])
    assert plan.cost[rows].isposinf().all()
    assert plan.best_cost[:, rows].isposinf().all()
    assert plan.elite_cost[:, rows].isposinf().all()
    for value, expected in zip(_values(plan), _values(healthy), strict=True):
        assert torch.equal(value[~plan.invalid], expected[~plan.invalid])
        assert not value.isnan().any()


@every_planner
def test_candidates_without_a_finite_cost_are_never_chosen(planner, squared_distance):
    target, guess, seeds = _problems()
    guess[:, 0, 0] = 0.1
    quadratic = squared_distance(target)

    def cost(actions):
        # Half of the space is forbidden, and the guess lies in it.
        forbidden = actions[:, :, 0, 0] > 0
        return torch.where(forbidden, torch.nan, quadratic(actions))

    plan = planner.plan(cost, guess, seeds)
    assert not plan.invalid.any()
    assert plan.cost.isfinite().all()
    if not isinstance(planner, Gradient):  # its starts may descend into a trap
        assert plan.elite_cost.isfinite().all()
    assert (plan.actions[:, 0, 0] <= 0).all()


@pytest.mark.parametrize(
    "planner",
    [one for one in PLANNERS if isinstance(one, (RandomShooting, CEM, MPPI, ICEM))],
    ids=lambda planner: type(planner).__name__,
)
def test_what_is_handed_on_has_a_finite_cost(planner, squared_distance):
    target, guess, seeds = _problems()
    quadratic = squared_distance(target)

    def cost(actions):  # of the guess alone
        same = (actions == guess[:, None]).flatten(2).all(dim=2)
        return torch.where(same, quadratic(actions), torch.nan)

    plan = planner.plan(cost, guess, seeds)
    assert torch.equal(plan.actions, guess)
    assert (plan.next_guess.std > 0).all()  # one candidate tells of no spread
    elites = plan.next_guess.elites
    if elites is not None:
        assert torch.equal(elites, guess[:, None].expand_as(elites))


@every_planner
def test_elites_of_the_guess_are_evaluated(planner, squared_distance):
    target, guess, seeds = _problems()
    optimum = target.clamp(-1, 1)
    quadratic, seen = squared_distance(target), []

    def cost(actions):
        seen.append(actions.detach().clone())
        return quadratic(actions)

    elites = torch.stack([optimum, guess.flip(0)], dim=1)
    plan = planner.plan(cost, Guess(guess, elites=elites), seeds)
    assert torch.equal(seen[0][:, 0], guess)
    assert torch.equal(seen[0][:, 1:3], elites)
    assert seen[0].shape[1] == planner.room
    kept = plan.next_guess.elites
    assert (0 if kept is None else kept.shape[1]) <= planner.kept
    assert torch.equal(plan.best_cost[0], cost(optimum[:, None])[:, 0])


@every_planner
def test_planning_builds_no_graph(planner, squared_distance):
    target, guess, seeds = _problems()
    cost = squared_distance(target.requires_grad_())
    start = Guess(guess.requires_grad_(), torch.ones_like(guess).requires_grad_())
    for value in _values(planner.plan(cost, start, seeds)):
        assert not value.requires_grad


@every_planner
def test_a_guess_that_is_not_finite_is_refused(planner, squared_distance):
    target, guess, seeds = _problems()
    guess[3, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="guess.mean must be finite, got nan"):
        planner.plan(squared_distance(target), guess, seeds)


@every_planner
def test_wrong_seeds_are_refused(planner, squared_distance):
    target, guess, seeds = _problems()
    cost = squared_distance(target)
    with pytest.raises(ValueError, match=r"seeds must be torch.int64 of shape \(7,\)"):
        planner.plan(cost, guess, seeds[:3])
    with pytest.raises(ValueError, match=r"got torch\.float32"):
        planner.plan(cost, guess, seeds.float())


@every_planner
def test_a_cost_of_the_wrong_shape_is_refused(planner):
    _, guess, seeds = _problems()
    with pytest.raises(ValueError, match=r"must return \(B, N\) = \(7, "):
        planner.plan(lambda actions: actions.sum(dim=-1), guess, seeds)


@pytest.mark.parametrize(
    ("mean", "std", "elites", "message"),
    [
        ((4, 3), None, None, r"guess.mean must be a floating .* \(4, 3\)"),
        ((2, 4, 3), (2, 4), None, r"guess.std must match guess.mean .* \(2, 4\)"),
        ((2, 4, 3), None, (2, 4, 3), r"guess.elites must be \(B, E, H, A\)"),
        ((2, 4, 3), None, (2, 5, 4, 2), "guess.elites must match guess.mean"),
    ],
)
def test_a_misshapen_guess_is_refused(mean, std, elites, message):
    with pytest.raises(ValueError, match=message):
        Guess(
            torch.zeros(mean),
            None if std is None else torch.ones(std),
            None if elites is None else torch.zeros(elites),
        )


@pytest.mark.parametrize("wrong", [-0.1, torch.nan, torch.inf])
def test_a_guess_with_an_impossible_std_is_refused(wrong):
    std = torch.ones(1, 2, 3)
    std[0, 1, 2] = wrong
    message = f"guess.std must be finite and at least 0, got {wrong:.1f}"
    with pytest.raises(ValueError, match=message):
        Guess(torch.zeros(1, 2, 3), std)
    Guess(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3))


@every_planner
@pytest.mark.parametrize("whole", [True, False])
def test_an_elite_that_is_no_place_does_no_harm(planner, whole, squared_distance):
    target, guess, seeds = _problems()
    elites = guess[:, None].clone()
    elites[2, :, :, 0] = torch.nan
    quadratic = squared_distance(target)

    def blind(actions):  # to what is not a number
        return quadratic(actions.nan_to_num())

    cost = quadratic if whole else blind
    plan = planner.plan(cost, Guess(guess, elites=elites), seeds)
    assert not plan.invalid.any()
    for value in _values(plan):
        assert not value.isnan().any()


def test_a_guess_of_mixed_dtypes_is_refused():
    with pytest.raises(ValueError, match=r"guess.std must match .* torch.float64"):
        Guess(torch.zeros(1, 2, 3), torch.ones(1, 2, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"guess\.mean must be a floating point"):
        Guess(torch.zeros(1, 2, 3, dtype=torch.int64))


@every_planner
@pytest.mark.parametrize("grad", [True, False])
def test_plans_are_the_same_with_and_without_gradients_around(
    planner, grad, squared_distance
):
    target, guess, seeds = _problems()
    expected = planner.plan(squared_distance(target), guess, seeds)
    with torch.set_grad_enabled(grad):
        _assert_same_bits(
            planner.plan(squared_distance(target), guess, seeds), expected
        )


@every_planner
def test_a_cost_of_the_wrong_shape_or_device_is_refused(planner, squared_distance):
    target, guess, seeds = _problems()
    quadratic = squared_distance(target)
    with pytest.raises(ValueError, match=r"must return \(B, N\) = \(7, .*, got \(7,\)"):
        planner.plan(lambda actions: quadratic(actions)[:, 0], guess, seeds)
    with pytest.raises(ValueError, match="on the candidates' device cpu, got meta"):
        planner.plan(lambda actions: quadratic(actions).to("meta"), guess, seeds)


@every_planner
def test_a_guess_that_is_no_plan_is_refused(planner, squared_distance):
    target, guess, seeds = _problems()
    cost = squared_distance(target)
    with pytest.raises(
        ValueError, match=r"guess.mean must be .*\(B, H, A\), got .*4, 3"
    ):
        planner.plan(cost, guess[0], seeds)
    with pytest.raises(ValueError, match=r"at least 1, got \(7, 0, 3\)"):
        planner.plan(cost, guess[:, :0], seeds)
    with pytest.raises(ValueError, match=r"guess.mean must be a floating point"):
        planner.plan(cost, guess.long(), seeds)
    many = guess[:, None].expand(-1, 200, -1, -1)
    with pytest.raises(
        ValueError, match=r"at most samples=\d+ sequences, got 1 and 200"
    ):
        planner.plan(cost, Guess(guess, elites=many), seeds)


@every_planner
def test_the_guess_is_left_alone(planner, squared_distance):
    target, guess, seeds = _problems()
    elites, std = guess[:, None].flip(1) * 0.5, torch.full_like(guess, 0.3)
    given = guess.clone(), std.clone(), elites.clone()
    planner.plan(squared_distance(target), Guess(*given), seeds)
    for value, expected in zip(given, (guess, std, elites), strict=True):
        assert torch.equal(value, expected)


@every_planner
def test_a_standard_deviation_for_each_dimension_is_used(planner, squared_distance):
    target, guess, seeds = _problems()
    seen = []

    def cost(actions):
        seen.append(actions.detach().clone())
        return squared_distance(target)(actions)

    wide: Any = planner.first if isinstance(planner, Refine) else planner
    replace(wide, std=[0.5, 1e-6, 0.5]).plan(cost, guess * 0.1, seeds)
    away = (seen[0] - guess[:, None] * 0.1).abs().amax(dim=(0, 1, 2))
    assert away[1] < 1e-4 < 0.1 < min(away[0], away[2])
    message = r"std must be a number or a list of A=3, .* got 2 values"
    with pytest.raises(ValueError, match=message):
        replace(wide, std=[0.5, 0.1]).plan(cost, guess, seeds)
    for wrong in ([0.5, -1.0, 0.5], 0.0):
        with pytest.raises(ValueError, match="std must be positive"):
            replace(wide, std=wrong)
