"""The shipped model plans on one device, unwatched; its plans can be replayed."""

from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor

from planners import CEM, MPC, Guess, Plan
from planners.graphs import Graphed, mapped, tensors
from tests.recording import DEVICES, NothingFromTheCPU, moved, where_graphs_are_recorded
from worldmodel.history import Beginning, Context
from worldmodel.model import WorldModel
from worldmodel.resources import find_weights

PRECISIONS = (torch.float32, torch.bfloat16)
PLANNER = CEM(64, 8, 1, std=0.15, correlation=0.5)
BATCH, STEPS = 2, 2
# Replayed operations are those of the plan, on copies without gaps in memory, so on a
# CPU the bits are the same, whatever kernels it chooses. (A view of a larger tensor may
# take another matrix product.) A GPU's libraries may choose anew: a float32's last
# digits, with room for what a search makes of them.
TOLERANCE = {"cpu": 0.0, "cuda": 1e-5}


@pytest.fixture
def model() -> WorldModel:
    model = WorldModel.from_pretrained(find_weights("reference"))
    model.batch_invariant = False
    return model


def decide(model: WorldModel) -> Any:
    mpc = MPC(PLANNER, horizon=STEPS, min_improvement=0.03)

    def decided(
        past: Context, goal: Tensor, begin: Guess, seeds: Tensor
    ) -> tuple[Tensor, Plan, Guess]:
        cost, propose = model.goal_cost(past, goal), model.proposals(past, goal)
        return mpc.decide(cost, begin, seeds, past.actions[:, -1], propose)

    return decided


def moment(seed: int) -> tuple[Context, Tensor, Guess, Tensor]:
    """Random latents of a past and a goal, and what planning takes beside them."""
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn((BATCH, 4, 1, 64), generator=generator)
    actions = torch.rand((BATCH, 2, 5), generator=generator) * 2 - 1
    seen = latents[:, :3]
    past = Context(seen, actions, Beginning.of(seen))
    guess = torch.rand((BATCH, STEPS, 5), generator=generator) * 2 - 1
    return past, latents[:, 3], Guess(guess), torch.arange(BATCH) + seed


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
def test_nothing_is_read_back_and_nothing_comes_from_the_cpu(model, precision):
    model.precision = precision
    decided, inputs = decide(model.to("meta")), moved(moment(0), "meta")
    decided(*inputs)  # what is the same for all plans is made on the CPU, once
    with NothingFromTheCPU():
        actions, _, _ = decided(*inputs)
    assert actions.shape == (BATCH, 1, 5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
def test_a_replayed_plan_is_the_plan(model, precision, device, monkeypatch):
    device = where_graphs_are_recorded(monkeypatch, device)
    model.precision = precision
    decided = decide(model.to(device))
    model.inference_copies()  # made once, before anything is recorded
    graphed, plans, allowed = Graphed(decided), [], TOLERANCE[device]
    for seed in range(3):
        inputs = moved(moment(seed), device)
        found = graphed(*inputs)
        expected = decided(*mapped(inputs, Tensor.contiguous))
        for ours, theirs in zip(tensors(found), tensors(expected), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=allowed, atol=allowed)
        plans.append(found[1].actions)
    for one, other in combinations(plans, 2):  # of other moments
        assert (one - other).abs().mean() > 0.1
