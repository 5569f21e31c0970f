import dataclasses

import numpy as np
import pytest
import torch

from planners import CEM
from planners.penalties import Penalties
from tests.evaluation.fakes import SIDE, SPEC, STEP_M, PointModel, picture, point_mpc
from tests.recording import where_graphs_are_recorded
from worldmodel.encoders import VideoViTSpec
from worldmodel.errors import WorldModelError
from worldmodel.evaluation.world_model_policy import WorldModelPolicy
from worldmodel.model import WorldModel
from worldmodel.model_spec import WorldModelSpec
from worldmodel.predictors import ActionPredictorSpec
from worldmodel.projectors.projector import ProjectorSpec

GOALS = np.stack([picture(np.array(p)) for p in ((0.5, 0.5), (-0.5, 0.1))])
SEEDS = np.array([3, 4])


def frames(step: int) -> np.ndarray:
    positions = np.array([[0.0, 0.1 * step], [0.1 * step, 0.0]])
    return np.stack([picture(position) for position in positions])


def proprio(step: int) -> np.ndarray:
    return np.full((2, 2), float(step), dtype=np.float32)


def run_steps(policy: WorldModelPolicy, steps: int, goals: np.ndarray = GOALS):
    policy.start(goals, SEEDS)
    return [policy.act(frames(step), proprio(step)) for step in range(steps)]


def test_each_new_frame_is_encoded_once_with_the_frames_of_its_tubelet():
    model = PointModel()
    run_steps(WorldModelPolicy(model, point_mpc(), SPEC), 4)
    assert [shape[:2] for shape in model.encoded_clips] == [
        (2, 1),
        (2, 1),
        (2, 2),
        (2, 2),
        (2, 2),
    ]


def test_the_context_holds_the_last_latents_and_the_actions_between_them():
    model = PointModel()
    decisions = run_steps(WorldModelPolicy(model, point_mpc(), SPEC), 5)
    for step, (latents, actions, felt) in enumerate(model.contexts):
        seen = range(max(0, step - 2), step + 1)
        expected = [[[0.0, 0.1 * t] for t in seen], [[0.1 * t, 0.0] for t in seen]]
        np.testing.assert_allclose(latents[:, :, 0].numpy(), expected, atol=1e-4)
        taken = [decisions[t].actions for t in seen[:-1]]
        assert actions.shape == (2, len(taken), 2)
        for column, action in enumerate(taken):
            np.testing.assert_array_equal(actions[:, column].numpy(), action)
        assert felt is not None
        assert felt[0, :, 0].tolist() == list(seen)


def test_a_second_start_forgets_the_first_episodes():
    policy = WorldModelPolicy(PointModel(), point_mpc(), SPEC)
    first = [decision.actions for decision in run_steps(policy, 3)]
    second = [decision.actions for decision in run_steps(policy, 3)]
    np.testing.assert_array_equal(first, second)


def test_replayed_plans_are_bitwise_the_plans(monkeypatch):
    execute = 2
    where_graphs_are_recorded(monkeypatch, "cpu")
    mpc = dataclasses.replace(
        point_mpc(execute),
        planner=CEM(samples=32, elites=4, iterations=2),
        min_improvement=0.01,
        penalties=Penalties(smoothness=0.1),
    )
    models = [PointModel(has_habit=True) for _ in range(2)]
    runs = []
    for model, graphs in zip(models, (True, False), strict=True):
        policy = WorldModelPolicy(model, mpc, SPEC, cuda_graphs=graphs)
        # the second run, of other goals, only replays
        runs += [run_steps(policy, 8, goals) for goals in (GOALS, GOALS[::-1])]
    assert not np.array_equal(runs[0][0].actions, runs[1][0].actions)
    for replayed, planned in zip(runs[0] + runs[1], runs[2] + runs[3], strict=True):
        np.testing.assert_array_equal(replayed.actions, planned.actions)
        np.testing.assert_array_equal(replayed.cost, planned.cost)
    # the first plan, and one for each length of the past after it
    lengths = len({len(actions[0]) for _, actions, _ in models[0].contexts[::execute]})
    assert len(models[0].proposed) == lengths
    assert len(models[1].proposed) == 16 // execute


def test_another_goal_is_pursued_by_those_that_got_it():
    model = PointModel()
    policy = WorldModelPolicy(model, point_mpc(), SPEC)
    policy.start(GOALS, SEEDS)
    policy.act(frames(0), proprio(0))
    policy.set_goal(np.array([1]), picture(np.array((0.5, 0.0)))[None])
    actions = policy.act(frames(0), proprio(0)).actions
    assert model.begins == [[False, True]]
    assert actions[1, 0] > 0  # the first goal lies the other way
    policy.act(frames(0), proprio(0))
    assert len(model.begins) == 1


def test_what_was_done_instead_is_remembered():
    model = PointModel()
    policy = WorldModelPolicy(model, point_mpc(), SPEC)
    policy.start(GOALS, SEEDS)
    policy.act(frames(0), proprio(0))
    done = np.array([[0.1, -0.2], [0.3, 0.4]], dtype=np.float32)
    policy.took(done)
    policy.act(frames(1), proprio(1))
    np.testing.assert_array_equal(model.contexts[-1][1][:, 0].numpy(), done)


def test_smoothness_counts_from_what_was_done_instead():
    left = 0.3  # what the search leaves of a change; without the penalty 0.9 or more
    mpc = dataclasses.replace(
        point_mpc(execute=2),
        planner=CEM(200, 20, 8),
        penalties=Penalties(smoothness=1000.0),
    )
    policy = WorldModelPolicy(PointModel(), mpc, SPEC)
    policy.start(GOALS, SEEDS)
    for step, value in enumerate((0.7, -0.7)):  # one of them in the middle of a plan
        policy.act(frames(step), proprio(step))
        done = np.full((2, 2), value, dtype=np.float32)
        policy.took(done)
    decision = policy.act(frames(2), proprio(2))
    np.testing.assert_allclose(decision.actions, done, atol=left)
    done = policy.act(frames(3), proprio(3)).actions  # as it was decided
    decision = policy.act(frames(4), proprio(4))
    np.testing.assert_allclose(decision.actions, done, atol=left)


def test_before_the_start_there_is_nothing_to_change():
    policy = WorldModelPolicy(PointModel(), point_mpc(), SPEC)
    with pytest.raises(WorldModelError, match="start must be called before set_goal"):
        policy.set_goal(np.array([0]), GOALS[:1])
    with pytest.raises(WorldModelError, match="act must be called before took"):
        policy.took(np.zeros((2, 2), dtype=np.float32))


def test_proposals_of_a_habit_are_varied_but_for_the_first_and_do_not_repeat():
    model = PointModel(has_habit=True)
    run_steps(WorldModelPolicy(model, point_mpc(), SPEC), 3)
    assert [noise.shape for noise in model.proposed] == [(2, 16, 4, 2)] * 3
    first, second, _ = model.proposed
    assert (first[:, 0] == 0).all()
    assert first[:, 1:].std().item() == pytest.approx(0.1, rel=0.2)
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


def test_without_a_search_the_policy_prior_acts_on_every_frame():
    model = PointModel(has_habit=True)
    mpc = point_mpc(execute=2)
    decisions = run_steps(WorldModelPolicy(model, mpc, SPEC, search=False), 3)
    assert [noise.shape for noise in model.proposed] == [(2, 1, 1, 2)] * 3
    assert not any(noise.any() for noise in model.proposed)
    goal = model.encode(torch.from_numpy(GOALS)[:, None])[:, 0]
    for decision, (seen, *_) in zip(decisions, model.contexts, strict=True):
        straight = (goal - seen[:, -1])[:, 0] / STEP_M
        np.testing.assert_allclose(decision.actions, straight.clamp(-1, 1))
        assert np.isnan(decision.cost).all()
        assert decision.evaluations == 0


@pytest.mark.parametrize("still", [None, 0.25])
def test_without_a_search_nothing_is_done_at_the_goal(still):
    model = PointModel(has_habit=True)
    idle = None if still is None else lambda rows: np.full((len(rows), 2), still)
    policy = WorldModelPolicy(model, point_mpc(), SPEC, idle=idle, search=False)
    goals = [picture(np.array(p)) for p in ((0.3, -0.2), (0.3, 0.3))]
    policy.start(np.stack(goals), SEEDS)
    here = np.stack([picture(np.array((0.3, -0.17)))] * 2)
    there, away = policy.act(here, proprio(0)).actions
    np.testing.assert_array_equal(there, still or 0.0)
    np.testing.assert_allclose(away, [0.0, 1.0], atol=1e-3)


def test_without_a_search_a_model_must_have_a_policy_prior():
    policy = WorldModelPolicy(PointModel(), point_mpc(), SPEC, search=False)
    with pytest.raises(WorldModelError, match="needs a model with a policy prior"):
        run_steps(policy, 1)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 16, SIDE, 3), np.uint8), r"uint8 \(8, 8, 3\).*got uint8 \(16, 8"),
        (np.zeros((2, SIDE, SIDE, 4), np.uint8), r"got uint8 \(8, 8, 4\)"),
        (np.zeros((2, SIDE, SIDE, 3), np.float32), r"got float32 \(8, 8, 3\)"),
    ],
)
def test_a_goal_image_of_the_wrong_size_or_type_is_refused(images, message):
    policy = WorldModelPolicy(PointModel(), point_mpc(), SPEC)
    with pytest.raises(ValueError, match="goal image must be .*" + message):
        policy.start(images, SEEDS)


def test_an_env_with_another_action_spec_is_refused():
    other = dataclasses.replace(SPEC, scales=(0.1, 0.2))
    with pytest.raises(ValueError, match=r"scales: model \[0.1, 0.1\], env \[0.1, 0"):
        WorldModelPolicy(PointModel(), point_mpc(), other)


def test_acting_before_starting_is_refused():
    policy = WorldModelPolicy(PointModel(), point_mpc(), SPEC)
    with pytest.raises(ValueError, match="start must be called before act"):
        policy.act(frames(0), proprio(0))


def test_latents_grown_frame_by_frame_are_those_of_the_whole_film():
    """The real world model, whose latents look back over a tubelet."""
    spec = WorldModelSpec(
        encoder=VideoViTSpec(height=24, width=24, dim=16, depth=1, heads=2),
        projector=ProjectorSpec(patches=4, token_dim=16, hidden=8, dim=8),
        predictor=ActionPredictorSpec(latent_dim=8, action_size=2, width=16, depth=1),
        action_spec=SPEC,
    )
    film = np.random.default_rng(0).integers(0, 256, (1, 3, 24, 24, 3), np.uint8)
    contexts = []

    class Watched(WorldModel):
        def goal_cost(self, context, goal, kind=None):
            contexts.append(context)
            return super().goal_cost(context, goal, kind)

    model = Watched(spec).eval()
    policy = WorldModelPolicy(model, point_mpc(), SPEC)
    policy.start(film[:, 0], np.array([7]))
    for step in range(3):
        decision = policy.act(film[:, step], proprio(step)[:1])
    whole = model.encode(torch.from_numpy(film))
    np.testing.assert_allclose(contexts[-1].latents, whole, atol=1e-5)
    assert decision.imagine is not None
    assert decision.imagine().shape == (1, 4, 1, 8)
