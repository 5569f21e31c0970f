import numpy as np
import pytest

from envs.camera import Camera
from envs.play import PlayMix
from envs.recording import PROPRIO_NAMES, PlayRecorder, Recording
from envs.simulation import Simulation

STEPS, SIDE = 8, 32


def recorder(seed: int = 0, mix: PlayMix | None = None, steps: int = STEPS):
    return PlayRecorder(mix or PlayMix(), seed, steps, SIDE, SIDE)


def same(first: Recording, second: Recording) -> bool:
    pairs = zip(vars(first).values(), vars(second).values(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_a_recording_is_a_function_of_seed_and_index():
    one = recorder()
    third = one.record(3)
    one.record(0)
    assert same(third, one.record(3))
    assert same(third, recorder().record(3))
    assert not same(third, one.record(4))
    assert not same(third, recorder(seed=1).record(3))


def test_row_t_is_the_moment_t_and_the_action_taken_at_it():
    recording = recorder().record(1)
    simulation = Simulation()
    camera = Camera(simulation.model, SIDE, SIDE)
    simulation.set_state(recording.sim_state[0])
    for row in range(STEPS):
        assert np.array_equal(simulation.get_state(), recording.sim_state[row])
        assert np.array_equal(simulation.proprio(), recording.proprio[row])
        assert np.array_equal(camera.render(simulation.data), recording.frames[row])
        simulation.step(recording.actions[row])
    camera.close()


def test_a_recording_has_the_documented_types():
    made = recorder()
    recording = made.record(0)
    assert recording.frames.dtype == np.uint8
    assert recording.frames.shape == (STEPS, SIDE, SIDE, 3)
    assert recording.actions.dtype == recording.proprio.dtype == np.float32
    assert recording.actions.shape == (STEPS, 5)
    assert np.abs(recording.actions).max() <= 1.0
    assert recording.proprio.shape == (STEPS, len(PROPRIO_NAMES))
    assert recording.sim_state.dtype == np.float64
    assert recording.sim_state.shape == (STEPS, made.state_size)


@pytest.mark.parametrize("name", ["noise", "sweep", "push", "pick", "botch"])
def test_every_behaviour_plays_alone(name):
    nothing = dict.fromkeys(("noise", "sweep", "push", "pick", "botch"), 0.0)
    mix = PlayMix(**{**nothing, name: 2.0})
    assert dict(zip(*mix.probabilities(), strict=True))[name] == 1.0
    recording = recorder(mix=mix).record(0)
    assert np.ptp(recording.sim_state, axis=0).max() > 0.05
    assert np.isfinite(recording.sim_state).all()


def test_the_mix_is_normalised():
    names, probabilities = PlayMix(1, 1, 1, 1, 4).probabilities()
    assert names[-1] == "botch"
    np.testing.assert_allclose(probabilities, [0.125] * 4 + [0.5])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"push": -0.1}, r"push must be in \[0, 1e\+09\], got -0.1"),
        ({"pick": float("nan")}, "pick must be in .* got nan"),
        (
            dict.fromkeys(("noise", "sweep", "push", "pick", "botch"), 0.0),
            "one weight of the mix must be above 0",
        ),
    ],
)
def test_a_mix_that_cannot_be_drawn_from_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        PlayMix(**change)


def test_an_episode_has_at_least_one_step():
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        recorder(steps=0)
