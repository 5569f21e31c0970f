"""A cost that remembers what one candidate cost."""

import pytest
import torch

from planners.watched import Watched


def _sum(actions):
    return actions.sum(dim=(2, 3))


@pytest.mark.parametrize("sizes", [(6,), (1, 5), (2, 2, 2), (3, 1, 2)])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_candidate_is_found_however_it_is_asked_for(sizes, place):
    actions = torch.arange(12.0).view(2, 6, 1, 1)
    cost = Watched(_sum, place)
    values = [cost(some) for some in actions.split(sizes, dim=1)]
    assert torch.equal(torch.cat(values, dim=1), _sum(actions))
    assert torch.equal(cost.seen(), _sum(actions)[:, place])
    cost(actions + 5.0)
    assert torch.equal(cost.seen(), _sum(actions)[:, place])


def test_a_cost_that_is_not_finite_counts_as_the_worst():
    cost = Watched(lambda actions: torch.tensor([[torch.nan], [1.0]]), 0)
    cost(torch.zeros(2, 1, 1, 1))
    assert cost.seen().tolist() == [torch.inf, 1.0]


def test_a_planner_that_asks_for_too_little_is_named():
    cost = Watched(_sum, 1)
    cost(torch.zeros(2, 1, 1, 1))
    with pytest.raises(RuntimeError, match="mean and its elites first"):
        cost.seen()
