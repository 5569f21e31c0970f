import numpy as np
import pytest

from worldmodel.data.alignment import LAGS, alignment

RNG = np.random.default_rng(0)


def moved(actions: np.ndarray, delay: int = 0) -> np.ndarray:
    """States (T, 2) that relative actions (T, 2) add up to, `delay` steps later."""
    late = np.concatenate([np.zeros((delay, 2)), actions])[: len(actions)]
    return np.concatenate([np.zeros((1, 2)), late.cumsum(axis=0)[:-1]])


@pytest.mark.parametrize("delay", [0, 1, 2])
def test_relative_actions_are_found_where_the_state_answers(delay):
    actions = RNG.normal(size=(50, 2))
    found = alignment([(actions, moved(actions, delay))], absolute=False)
    assert found is not None
    assert found.best == delay
    assert found.correlations[delay] == pytest.approx(1.0)
    assert found.is_shifted == (delay == 2)


def test_actions_one_row_late_are_told():
    actions = RNG.normal(size=(50, 2))
    states = moved(actions)
    found = alignment([(actions[:-1], states[1:])], absolute=False)
    assert found is not None
    assert (found.best, found.is_shifted) == (-1, True)


def test_absolute_actions_are_compared_by_their_changes():
    actions = RNG.normal(size=(50, 2)).cumsum(axis=0)
    states = np.concatenate([np.zeros((1, 2)), actions[:-1]])  # there a step later
    found = alignment([(actions, states)], absolute=True)
    assert found is not None
    assert (found.best, found.is_shifted) == (0, False)
    assert found.correlations[0] == pytest.approx(1.0)


def test_state_dimensions_are_matched_whatever_their_order():
    actions = RNG.normal(size=(80, 2))
    states = np.concatenate([RNG.normal(size=(80, 3)), moved(actions)[:, ::-1]], axis=1)
    found = alignment([(actions[:40], states[:40]), (actions[40:], states[40:])], False)
    assert found is not None
    assert found.best == 0


def test_what_cannot_be_told_is_not():
    actions, states = RNG.normal(size=(4000, 2)), RNG.normal(size=(4000, 1))
    found = alignment([(actions, states)], absolute=False)
    assert found is not None
    assert found.is_weak
    assert not found.is_shifted
    assert alignment([(actions, states[:, :0])], absolute=False) is None
    assert alignment([(actions[:1], states[:1])], absolute=False) is None
    assert alignment([], absolute=False) is None
    still = alignment([(np.zeros((9, 2)), np.zeros((9, 2)))], absolute=True)
    assert still is not None
    assert still.correlations == dict.fromkeys(LAGS, 0.0)
