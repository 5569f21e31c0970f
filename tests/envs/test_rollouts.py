"""The simulator in threads is the simulator."""

import tracemalloc

import numpy as np
import pytest

from envs.arm import POSE_HIGH, POSE_LOW, ArmIK
from envs.batched_ik import BatchedArmIK
from envs.rollouts import SimulatorThreads
from envs.simulation import Simulation, random_start


@pytest.fixture(scope="module")
def states():
    rng, simulation = np.random.default_rng(0), Simulation()
    found = []
    for _ in range(3):
        random_start(simulation, rng)
        simulation.step(rng.uniform(-1, 1, 5))
        found.append(simulation.get_state())
    return np.stack(found)


def test_batched_inverse_kinematics_are_those_of_the_arm():
    poses = np.random.default_rng(1).uniform(POSE_LOW, POSE_HIGH, (60, 4))
    corners = np.stack([POSE_LOW, POSE_HIGH, [0.69, -0.27, 0.3, 1.5]])
    poses = np.concatenate([poses, corners])
    single = ArmIK()
    expected = np.stack([single.solve(pose) for pose in poses])
    np.testing.assert_allclose(BatchedArmIK().solve(poses), expected, atol=1e-8)


def test_poses_at_a_joint_limit_are_solved_by_the_arm(monkeypatch):
    batched = BatchedArmIK()
    batched._high = np.full(7, 0.1)  # as if the elbow could hardly bend
    asked = []
    monkeypatch.setattr(
        batched._single, "solve", lambda pose: asked.append(pose) or np.zeros(7)
    )
    assert (batched.solve(np.array([[0.5, 0.0, 0.1, 0.0]])) == 0).all()
    assert len(asked) == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_rollouts_are_what_steps_lead_to(states, threads):
    actions = np.random.default_rng(2).uniform(-1.3, 1.3, (3, 4, 5, 5))
    found = SimulatorThreads(threads).rollout(states, actions)
    simulation = Simulation()
    for b, n in np.ndindex(3, 4):
        simulation.set_state(states[b])
        for step, action in enumerate(actions[b, n]):
            simulation.step(action)
            expected = simulation.get_state()
            simulation.set_state(found[b, n, step])
            after = simulation.quantities()
            simulation.set_state(expected)
            wanted = simulation.quantities()
            for name, value in after.as_dict().items():
                np.testing.assert_allclose(value, wanted.as_dict()[name], atol=1e-6)
            np.testing.assert_array_equal(found[b, n, step, -2:], expected[-2:])
    assert found.shape == (3, 4, 5, simulation.state_size)


def test_a_state_of_a_rollout_can_be_gone_on_from(states):
    actions = np.random.default_rng(3).uniform(-1, 1, (1, 1, 4, 5))
    threads = SimulatorThreads()
    whole = threads.rollout(states[:1], actions)
    half = threads.rollout(states[:1], actions[:, :, :2])
    rest = threads.rollout(half[:, 0, -1], actions[:, :, 2:])
    np.testing.assert_allclose(rest[0, 0, -1, :17], whole[0, 0, -1, :17], atol=1e-5)


def test_what_does_not_fit_is_refused(states):
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        SimulatorThreads(0)
    with pytest.raises(ValueError, match=r"actions must be \(3, N, H, 5\), got \(2, "):
        SimulatorThreads().rollout(states, np.zeros((2, 1, 1, 5)))
    with pytest.raises(
        ValueError, match=r"actions must be \(3, .*, got \(3, 1, 1, 4\)"
    ):
        SimulatorThreads().rollout(states, np.zeros((3, 1, 1, 4)))


def test_many_sequences_are_simulated_in_chunks_that_bound_memory(states, monkeypatch):
    actions = np.random.default_rng(4).uniform(-1, 1, (3, 32, 3, 5))
    threads, found, peaks = SimulatorThreads(), [], []
    for chunk in (1000, 8):
        monkeypatch.setattr("envs.rollouts._CHUNK", chunk)
        tracemalloc.start()
        found.append(threads.rollout(states, actions))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (found[0] == found[1]).all()
    assert peaks[1] < peaks[0] / 3
