import pytest
import torch

from worldmodel.context import Context


@pytest.mark.parametrize(
    ("latents", "actions", "message"),
    [
        ((2, 3, 4), (2, 2, 5), r"latents must be \(B, T >= 1, P, D\), got \(2, 3, 4\)"),
        ((2, 0, 1, 4), (2, 0, 5), r"got \(2, 0, 1, 4\)"),
        ((2, 3, 1, 4), (2, 3, 5), r"must be \(B=2, T - 1=2, A\), got \(2, 3, 5\)"),
        ((2, 3, 1, 4), (1, 2, 5), r"got \(1, 2, 5\)"),
    ],
)
def test_a_past_that_does_not_fit_together_is_refused(latents, actions, message):
    with pytest.raises(ValueError, match=message):
        Context(torch.zeros(latents), torch.zeros(actions))


def test_one_problem_can_be_taken_out():
    context = Context(torch.rand(3, 2, 1, 4), torch.rand(3, 1, 5), torch.rand(3, 2, 6))
    one = context.problem(1)
    assert torch.equal(one.latents, context.latents[1:2])
    assert torch.equal(one.actions, context.actions[1:2])
    assert one.proprio is not None
    assert torch.equal(one.proprio[0], context.proprio[1])  # type: ignore[index]
    assert Context(context.latents, context.actions).problem(0).proprio is None
