"""What actions cost for themselves."""

import pytest
import torch

from planners import CEM, MPC, Penalties


def _free(actions):
    return torch.zeros_like(actions[:, :, 0, 0])


def test_effort_is_the_mean_square_and_smoothness_that_of_the_changes():
    actions = torch.tensor([[1.0, 0.0], [0.0, 0.5], [1.0, 0.5]]).view(1, 1, 3, 2)
    effort = Penalties(effort=2.0).on(_free)(actions)
    torch.testing.assert_close(effort, torch.tensor([[2.0 * 2.5 / 6]]))
    alone = Penalties(smoothness=3.0).on(_free)(actions)
    torch.testing.assert_close(alone, torch.tensor([[3.0 * 2.25 / 6]]))
    last = torch.tensor([[0.0, 1.0]])
    after = Penalties(smoothness=3.0).on(_free, last)(actions)
    torch.testing.assert_close(after, torch.tensor([[3.0 * 4.25 / 6]]))


def test_without_weights_it_is_the_cost_itself():
    assert Penalties().on(_free) is _free


@pytest.mark.parametrize("name", ["effort", "smoothness"])
def test_weights_must_not_be_negative(name):
    with pytest.raises(
        ValueError, match=f"{name} must be finite and at least 0.0, got -1"
    ):
        Penalties(**{name: -1})


@pytest.mark.parametrize("name", ["effort", "smoothness"])
def test_a_cost_of_the_wrong_shape_is_named_with_a_penalty_too(name):
    cost = Penalties(**{name: 1.0}).on(lambda actions: actions[0, :, 0, 0])
    with pytest.raises(ValueError, match=r"must return \(B, N\) = \(2, 3\)"):
        cost(torch.zeros(2, 3, 4, 1))


def test_control_with_a_penalty_on_changes_changes_its_actions_less():
    def drive(penalties):
        mpc = MPC(CEM(64, 8, 3), horizon=4, penalties=penalties)
        state = mpc.start(torch.arange(4), action_size=2)
        taken = []
        for step in range(6):
            wanted = 0.8 if step % 2 else -0.8  # what is wanted jumps to and fro

            def cost(actions, wanted=wanted):
                return (actions - wanted).square().mean(dim=(2, 3))

            actions, _, state = mpc.step(cost, state)
            taken.append(actions[:, 0])
        return torch.stack(taken).diff(dim=0).abs().mean()

    assert drive(Penalties(smoothness=2.0)) < 0.6 * drive(Penalties())


def test_the_penalty_is_the_same_bits_in_every_batch():
    generator = torch.Generator().manual_seed(0)
    actions = torch.rand((5, 9, 7, 3), generator=generator)
    last = torch.rand((5, 3), generator=generator)
    together = Penalties(0.3, 0.7).on(_free, last)(actions)
    alone = Penalties(0.3, 0.7).on(_free, last[3:4])(actions[3:4])
    assert torch.equal(alone[0], together[3])
