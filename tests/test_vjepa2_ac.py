"""V-JEPA 2-AC as a model that planners ask."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from benchmarks.vjepa2_ac_reference import SEARCHES, SPEC, film, random_predictor
from planners import CEM, MPC, Gradient, Guess
from planners.graphs import Graphed, mapped, tensors
from tests.recording import DEVICES, NothingFromTheCPU, moved, where_graphs_are_recorded
from worldmodel.errors import WorldModelError
from worldmodel.predictors import PatchPredictor, pose
from worldmodel.predictors.patch_predictor import normalised
from worldmodel.vjepa2_ac import ACTION_SPEC, VJEPA2AC, SearchSpace

TOKENS, ACTIONS, STATES = film()
GOAL = TOKENS[:, 3]


def encoder(clips):
    """Tokens of a clip of one frame, by its colours."""
    assert clips.shape[1] == 1
    grid = clips[:, 0, ::8, ::8].float().flatten(1)  # (B, 4 x 6 x 3)
    return (
        grid[:, : SPEC.patches, None]
        + torch.arange(SPEC.token_dim) * grid[:, -1:, None]
    )


def model(**changes) -> VJEPA2AC:
    return replace(VJEPA2AC(encoder, random_predictor()), **changes)


def candidates(horizon=2, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 5, horizon, 4, generator=generator) * 2 - 1


def test_frames_are_encoded_alone_and_normalised():
    frames = torch.randint(0, 255, (2, 3, 32, 48, 3), dtype=torch.uint8)
    tokens = model().encode(frames)
    assert tokens.shape == (2, 3, SPEC.patches, SPEC.token_dim)
    torch.testing.assert_close(tokens[1:, 2:], model().encode(frames[1:, 2:]))
    torch.testing.assert_close(normalised(tokens), tokens, rtol=1e-4, atol=1e-4)
    with pytest.raises(WorldModelError, match=r"frames must be \(B, T, height"):
        model().encode(frames[0])
    wrong = model(encoder=lambda clips: torch.zeros(len(clips), 2, 3))
    with pytest.raises(WorldModelError, match=r"tokens must be .*\(6, 6, 24\), got"):
        wrong.encode(frames)


@pytest.mark.parametrize("past", [1, 3])
def test_a_candidate_costs_how_far_its_end_is_from_the_goal(past):
    cost = model().goal_cost(TOKENS[:, :past], STATES[:, :past], GOAL)
    searched = candidates()
    taken = SearchSpace().actions(searched)
    expected = torch.zeros(2, 5)
    for n in range(5):
        seen, states = TOKENS[:, :past], STATES[:, :past]
        done = pose.between(states)
        for step in range(2):
            done = torch.cat((done, taken[:, n, step, None]), dim=1)
            after = random_predictor()(seen, done, states)[:, -1:]
            seen = torch.cat((seen, after), dim=1)
            states = torch.cat(
                (states, pose.advance(states[:, -1:], done[:, -1:])), dim=1
            )
        expected[:, n] = (seen[:, -1] - GOAL).abs().mean((-2, -1))
    torch.testing.assert_close(cost(searched), expected, rtol=0, atol=1e-5)


def test_a_cost_does_not_depend_on_how_many_are_imagined_at_once():
    given = (TOKENS[:, :1], STATES[:, :1], GOAL)
    whole = model().goal_cost(*given)(candidates())
    parts = model(chunk=2).goal_cost(*given)(candidates())
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-6)


def test_the_goal_is_found_where_it_was_imagined():
    # A goal that some action leads to: the search must come near that action.
    wanted = torch.tensor([[[0.6, -0.4, 0.5, 0.7]]])
    now, state = TOKENS[:1, :1], STATES[:1, :1]
    action = SearchSpace().actions(wanted[:, None])
    goal = random_predictor().rollout(now, action[:, 0, :0], action, state)[:, 0, 0]
    cost = model().goal_cost(now, state, goal)
    search = CEM(300, 20, iterations=15, std=SearchSpace().std, min_std=0.0)
    plan = search.plan(cost, torch.zeros(1, 1, 4), torch.tensor([0]))
    torch.testing.assert_close(plan.actions, wanted, rtol=0, atol=0.02)
    smooth = Gradient(starts=4, iterations=100, rate=0.05)
    plan = smooth.plan(cost, torch.zeros(1, 1, 4), torch.tensor([0]))
    torch.testing.assert_close(plan.actions, wanted, rtol=0, atol=0.05)


def test_what_a_plan_commands():
    space = SearchSpace(radius=0.1)
    plan = torch.tensor([[1.0, -0.5, 0.0, 0.3], [0.0, 0.0, 0.0, -1.0]])
    commands = space.commands(plan)
    expected = [[0.1, -0.05, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, -0.75]]
    torch.testing.assert_close(commands, torch.tensor(expected))
    closing = replace(space, close_from=1).commands(plan)
    assert closing[:, 6].tolist() == [0.0, 1.0]
    torch.testing.assert_close(space.actions(plan)[0, 6], torch.tensor(0.225))


def test_what_actions_mean_travels_with_them():
    assert ACTION_SPEC.size == 7
    assert ACTION_SPEC.units == ("m", "m", "m", "rad", "rad", "rad", "1")
    assert ACTION_SPEC.rate_hz == 4.0
    spec = SearchSpace(radius=0.075).spec
    assert spec.names == ("dx", "dy", "dz", "dgripper")
    plan = candidates()
    units = torch.from_numpy(spec.in_units(plan.numpy())).float()
    actions = SearchSpace(radius=0.075).actions(plan)
    torch.testing.assert_close(units, actions[..., [0, 1, 2, 6]])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"states": STATES[:, :1, :6]}, r"states must be .*7\) = \(2, 1, 7\), got"),
        ({"states": STATES[:, :1].long()}, "states must be floating point"),
        ({"states": STATES[:, :1] * math.inf}, "states must be finite"),
        ({"states": STATES}, r"states must be .* = \(2, 1, 7\), got \(2, 4, 7\)"),
        ({"tokens": TOKENS[:, :1, 1:]}, r"tokens must be .* = \(2, 1, 6, 24\), got"),
        ({"tokens": TOKENS[:, 0]}, r"tokens must be \(B, T, P, D\), got"),
        ({"goal": TOKENS[:1, 3]}, r"goal must be \(B, P, D\)=\(2, 6, 24\), got"),
    ],
)
def test_a_wrong_shape_is_named(given, message):
    fitting = {"tokens": TOKENS[:, :1], "states": STATES[:, :1], "goal": GOAL}
    with pytest.raises(WorldModelError, match=message):
        model().goal_cost(**{**fitting, **given})


def test_more_than_32_steps_are_refused_with_the_reason():
    cost = model().goal_cost(TOKENS[:, :1], STATES[:, :1], GOAL)
    with pytest.raises(WorldModelError, match="1 to 32, got 33: positions count"):
        cost(candidates(horizon=33))
    many = TOKENS[:, :1].expand(-1, 33, -1, -1), STATES[:, :1].expand(-1, 33, -1)
    with pytest.raises(WorldModelError, match="got 33.*give the newest frames alone"):
        model().goal_cost(*many, GOAL)
    with pytest.raises(WorldModelError, match=r"actions must be .*A=4\), got"):
        cost(torch.zeros(2, 5, 2, 7))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"radius": 0.0}, r"radius must be positive and finite \[m\], got 0.0"),
        ({"gripper": 1.5}, r"gripper must be in \(0, 1\], got 1.5"),
        ({"dead_zone": -0.1}, r"dead_zone must be in \[0, 1\], got -0.1"),
        ({"close_from": -1}, "close_from must be at least 0, got -1"),
    ],
)
def test_a_search_space_names_what_is_wrong(settings, message):
    with pytest.raises(WorldModelError, match=message):
        SearchSpace(**settings)


def test_a_predictor_of_other_sizes_is_refused():
    other = PatchPredictor(replace(SPEC, action_size=5))
    with pytest.raises(WorldModelError, match="action_size and state_size 7, got 5"):
        VJEPA2AC(encoder, other)
    with pytest.raises(WorldModelError, match="chunk must be at least 1, got 0"):
        model(chunk=0)


SEARCH = CEM(
    16,
    4,
    iterations=2,
    std=SearchSpace().std,
    min_std=0.0,
    kept=0,
    answer="mean",
    try_mean=False,
    ddof=1,
    l1_dims=3,
)


def decide(device: str):
    ac = model(predictor=random_predictor().to(device))
    mpc = MPC(SEARCH, horizon=2)

    def decided(tokens, states, goal, begin, seeds):
        cost = ac.goal_cost(tokens, states, goal)
        return mpc.decide(cost, begin, seeds, None)

    return decided


def moment(seed: int):
    tokens = normalised(torch.roll(TOKENS, seed, dims=-1))
    begin = Guess(torch.zeros(2, 2, 4))
    return tokens[:, :2], STATES[:, :2], tokens[:, 3], begin, torch.arange(2) + seed


def test_a_plan_reads_nothing_back_and_takes_nothing_from_the_cpu():
    decided, inputs = decide("meta"), moved(moment(0), "meta")
    decided(*inputs)  # what is the same for all plans is made on the CPU, once
    with NothingFromTheCPU():
        actions, _, _ = decided(*inputs)
    assert actions.shape == (2, 1, 4)


@pytest.mark.parametrize("device", DEVICES)
def test_a_replayed_plan_is_the_plan(device, monkeypatch):
    device = where_graphs_are_recorded(monkeypatch, device)
    decided, away = decide(device), 1e-5 if device == "cuda" else 0.0
    graphed = Graphed(decided)
    for seed in range(3):
        inputs = moved(moment(seed), device)
        found = graphed(*inputs)
        expected = decided(*mapped(inputs, torch.Tensor.contiguous))
        for one, other in zip(tensors(found), tensors(expected), strict=True):
            torch.testing.assert_close(one, other, rtol=away, atol=away)


def test_the_preset_is_the_search_that_was_compared():
    # The plan of this search is that of the published code: test_vjepa2_ac_parity.
    folder = Path(__file__).parents[1] / "configs" / "planner"
    space, compared, horizon = SEARCHES["plan"]
    preset = OmegaConf.load(folder / "vjepa2_ac.yaml")
    search = instantiate(preset.planner)
    assert (search.samples, search.iterations, preset.horizon) == (400, 10, horizon)
    assert replace(search, samples=40, iterations=4, std=space.std) == compared
    preset = OmegaConf.load(folder / "vjepa2_ac_paper.yaml")
    paper = instantiate(preset.planner)
    assert (paper.samples, paper.iterations, preset.horizon) == (800, 10, 1)
    assert replace(paper, samples=400, l1_dims=0) == search
