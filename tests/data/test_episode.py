import dataclasses

import numpy as np
import pytest

from tests.data.synthetic import episode
from worldmodel.data import DatasetError, Episode


def _with(**changes: np.ndarray) -> Episode:
    return dataclasses.replace(episode(0, length=5), **changes)


def test_frames_must_be_bytes() -> None:
    with pytest.raises(DatasetError, match=r"frames must be uint8 .* got float32"):
        _with(frames=np.zeros((5, 12, 16, 3), np.float32))


def test_frames_must_have_colours_last() -> None:
    with pytest.raises(
        DatasetError, match=r"frames must be .*got shape \(5, 3, 12, 16"
    ):
        _with(frames=np.zeros((5, 3, 12, 16), np.uint8))


def test_an_episode_has_at_least_one_frame() -> None:
    with pytest.raises(DatasetError, match="T >= 1"):
        _with(frames=np.zeros((0, 12, 16, 3), np.uint8))


def test_every_frame_has_its_action() -> None:
    with pytest.raises(DatasetError, match="actions must have one row .* 5 .*got 4"):
        _with(actions=np.zeros((4, 2), np.float32))


def test_nan_is_named_with_its_step() -> None:
    proprio = np.zeros((5, 3), np.float32)
    proprio[3, 1] = np.nan
    with pytest.raises(DatasetError, match="proprio holds NaN or infinity at step 3"):
        _with(proprio=proprio)


def test_actions_stay_in_their_bounds() -> None:
    actions = np.zeros((5, 2), np.float32)
    actions[2] = (0.5, -1.25)
    with pytest.raises(DatasetError, match=r"\[-1, 1\], got \[0.5, -1.25\] at step 2"):
        _with(actions=actions)


def test_sim_state_keeps_double_precision() -> None:
    with pytest.raises(DatasetError, match="sim_state must be float64"):
        _with(sim_state=np.zeros((5, 4), np.float32))
