"""CMA-ES against the package that it is made of."""

import math
import warnings

import numpy as np
import pytest
import torch

from planners import CMAES, Guess
from planners.cmaes import cma_package
from planners.noise import normal


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 3}, r"samples must be in \[4, 1000000\], got 3"),
        ({"iterations": 0}, r"iterations must be in \[1, 100000\], got 0"),
        ({"std": -0.5}, "std must be positive, got -0.5"),
        ({"budget_ms": -1.0}, "budget_ms must be positive, got -1.0"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        CMAES(**settings)


@pytest.mark.parametrize("std", [0.3, [0.5, 0.1]])
def test_it_asks_for_what_cma_asks_for(std, squared_distance):
    horizon, samples = 3, 12
    target = torch.linspace(-0.8, 0.8, 6).view(1, horizon, 2).double()
    cost, seen = squared_distance(target), []

    def recorded(actions):
        seen.append(actions[0].flatten(1).numpy())
        return cost(actions)

    guess, seeds = torch.full((1, horizon, 2), 0.1).double(), torch.tensor([7])
    CMAES(samples, iterations=6, std=std).plan(recorded, guess, seeds)

    calls = iter(range(100))

    def randn(rows, size):
        noise = normal(seeds, next(calls), range(rows), horizon, 2)
        return noise[0].double().reshape(rows, size).numpy()

    each = np.tile(np.broadcast_to(std, 2), horizon)
    options = {
        "bounds": [-1, 1],
        "popsize": samples,
        "CMA_stds": each / each.max(),
        "randn": randn,
        "seed": math.nan,
        "verbose": -9,
    }
    package = cma_package()
    search = package.CMAEvolutionStrategy(guess.flatten().numpy(), each.max(), options)
    for iteration in range(6):
        asked = search.ask()
        if iteration == 0:
            asked[0] = guess.flatten().numpy()
        np.testing.assert_array_equal(seen[iteration], np.stack(asked))
        values = cost(torch.from_numpy(np.stack(asked)).view(1, -1, horizon, 2))
        search.tell(asked, values[0].tolist())
    np.testing.assert_allclose(seen[6][0], search.result.xfavorite, rtol=0, atol=1e-12)


def test_the_covariance_learns_a_valley_that_lies_askew():
    # 1 : 10^4 along the diagonals of the plane: no search by coordinate finds its way.
    def cost(actions):
        along = actions[..., 0, 0] + actions[..., 0, 1] - 0.4
        across = actions[..., 0, 0] - actions[..., 0, 1] - 0.2
        return along**2 * 1e-4 + across**2

    guess = torch.full((1, 1, 2), -0.5).double()
    plan = CMAES(16, iterations=60).plan(cost, guess, torch.tensor([0]))
    wanted = torch.tensor([[[0.3, 0.1]]]).double()
    torch.testing.assert_close(plan.actions, wanted, atol=1e-3, rtol=0)


def test_a_search_that_has_converged_goes_on_without_harm(squared_distance):
    target = torch.full((2, 1, 2), 0.3)
    guess = Guess(target.clone(), std=torch.full_like(target, 1e-4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan = CMAES(8, iterations=120).plan(
            squared_distance(target), guess, torch.arange(2)
        )
    assert plan.cost.tolist() == [0.0, 0.0]


def test_files_in_the_working_folder_change_nothing(
    squared_distance, tmp_path, monkeypatch
):
    cost = squared_distance(torch.full((1, 2, 2), 0.4))
    guess, seeds = torch.zeros(1, 2, 2), torch.tensor([0])
    expected = CMAES(8, iterations=6).plan(cost, guess, seeds)
    (tmp_path / "cma_signals.in").write_text("{'maxiter': 1}\n")
    monkeypatch.chdir(tmp_path)
    found = CMAES(8, iterations=6).plan(cost, guess, seeds)
    assert torch.equal(found.actions, expected.actions)


def test_a_std_of_zero_is_searched_from():
    def cost(actions):
        return (actions - 0.5).square().sum(dim=(2, 3))

    guess = Guess(torch.zeros(1, 1, 2), std=torch.zeros(1, 1, 2))
    plan = CMAES(8, iterations=3).plan(cost, guess, torch.tensor([0]))
    assert not plan.invalid.any()
