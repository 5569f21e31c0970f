"""Poses and the actions between them."""

import pytest
import torch

from worldmodel.errors import WorldModelError
from worldmodel.predictors import pose


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_angles_turn_about_the_fixed_axes_x_then_y_then_z():
    quarter = torch.pi / 2
    about_x = pose.rotation_matrix(torch.tensor([quarter, 0.0, 0.0]).double())
    torch.testing.assert_close(
        about_x @ torch.tensor([0.0, 1.0, 0.0]).double(),
        torch.tensor([0.0, 0.0, 1.0]).double(),
    )
    both = pose.rotation_matrix(torch.tensor([quarter, 0.0, quarter]).double())
    torch.testing.assert_close(  # y goes to z, which stays under a turn about z
        both @ torch.tensor([0.0, 1.0, 0.0]).double(),
        torch.tensor([0.0, 0.0, 1.0]).double(),
    )


def test_angles_and_rotations_are_one_another():
    angles = gaussian(200, 3)
    angles[:4, 1] = torch.tensor([1.0, -1.0, 1.0, -1.0]) * torch.pi / 2
    turns = pose.rotation_matrix(angles)
    again = pose.rotation_matrix(pose.euler_angles(turns))
    torch.testing.assert_close(again, turns)
    eye = torch.eye(3).double().expand(200, 3, 3)
    torch.testing.assert_close(turns @ turns.transpose(-1, -2), eye)


def test_the_actions_between_states_lead_from_one_to_the_next():
    states = 0.5 * gaussian(3, 5, 7)
    states[..., 6] = states[..., 6].sigmoid()
    actions = pose.between(states)
    assert actions.shape == (3, 4, 7)
    torch.testing.assert_close(pose.advance(states[:, :-1], actions), states[:, 1:])
    torch.testing.assert_close(pose.along(states[:, 0], actions), states[:, 1:])


def test_a_gripper_closes_no_further_than_it_can():
    state, action = torch.zeros(7), torch.zeros(2, 7)
    state[6], action[:, 6] = 0.5, torch.tensor([0.75, -0.75])
    assert pose.advance(state, action)[:, 6].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("size", [6, 8])
def test_a_state_of_another_size_is_refused(size):
    with pytest.raises(WorldModelError, match=rf"states must be .*7.* got \({size},\)"):
        pose.advance(torch.zeros(size), torch.zeros(7))
    with pytest.raises(WorldModelError, match=r"actions must be"):
        pose.advance(torch.zeros(7), torch.zeros(size))
