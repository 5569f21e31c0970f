import pytest
import torch

from worldmodel.history import Context


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
    context = Context(torch.rand(3, 2, 1, 4), torch.rand(3, 1, 5))
    one = context.problem(1)
    assert torch.equal(one.latents, context.latents[1:2])
    assert torch.equal(one.actions, context.actions[1:2])


def test_a_moment_more_comes_last_and_old_ones_fall_away():
    context = Context(torch.zeros(2, 1, 1, 3), torch.zeros(2, 0, 5))
    for step in range(1, 4):
        number = float(step)
        context = context.then(
            torch.full((2, 5), number),
            torch.full((2, 1, 3), number),
        ).newest(3)
    assert context.latents[0, :, 0, 0].tolist() == [1.0, 2.0, 3.0]
    assert context.actions[0, :, 0].tolist() == [2.0, 3.0]
    kept = context.beginning  # what it began with
    assert kept.latents[1, :, 0, 0].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert kept.age.tolist() == [3, 3]
    assert torch.equal(context.problem(1).beginning.latents, kept.latents[1:])
    late = context.then(torch.ones(2, 5), torch.ones(2, 1, 3))
    assert torch.equal(late.beginning.latents, kept.latents)


def test_an_episode_may_begin_now():
    context = Context(torch.rand(2, 3, 1, 3), torch.rand(2, 2, 5))
    begun = context.begun(torch.tensor([False, True]))
    assert torch.equal(begun.latents, context.latents)
    now = torch.rand(2, 1, 3)
    found = begun.then(torch.rand(2, 5), now).beginning
    first, last = context.latents[0], context.latents[1, -1]
    assert torch.equal(found.latents[0], torch.cat((first, now[:1])))
    assert torch.equal(found.latents[1], torch.stack((last, now[1], last, last)))
    assert found.age.tolist() == [3, 1]
