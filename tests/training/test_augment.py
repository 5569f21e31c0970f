import pytest
import torch

from worldmodel.training.augment import Augment

FRAMES = torch.randint(
    0, 256, (6, 8, 10, 3), generator=torch.Generator().manual_seed(0)
).to(torch.uint8)
ROWS = torch.tensor([[0, 1, 2], [3, 3, 5]])


def gathered(augment: Augment, frames: torch.Tensor = FRAMES, seed: int = 0):
    changes = augment.draw(len(ROWS), torch.Generator().manual_seed(seed))
    return changes.gather(frames, ROWS)


def test_without_changes_pictures_are_as_they_are():
    assert torch.equal(gathered(Augment()), FRAMES[ROWS])


def test_a_window_is_moved_as_a_whole_and_its_edge_repeats():
    moved = gathered(Augment(shift=1.0, pixels=2), seed=3)
    found = []
    for window, rows in zip(moved, ROWS, strict=True):
        places = [
            (y, x)
            for y in range(-2, 3)
            for x in range(-2, 3)
            if torch.equal(window, shifted(FRAMES[rows], y, x))
        ]
        assert len(places) == 1
        found += places
    assert any(place != (0, 0) for place in found)


def shifted(frames: torch.Tensor, down: int, across: int) -> torch.Tensor:
    rows = (torch.arange(8) + down).clamp(0, 7)
    columns = (torch.arange(10) + across).clamp(0, 9)
    return frames[:, rows][:, :, columns]


def test_colours_change_alike_within_a_window_and_grey_stays_grey():
    grey = FRAMES[..., :1].expand(-1, -1, -1, 3).contiguous()
    changed = gathered(Augment(colour=1.0), grey).int()
    assert (changed.amax(-1) - changed.amin(-1)).max() <= 1
    same = gathered(Augment(colour=1.0))
    assert torch.equal(same[1, 0], same[1, 1])  # the same row of one window
    assert not torch.equal(same[0], FRAMES[ROWS[0]])


def test_the_generator_decides():
    augment = Augment(colour=1.0, shift=1.0)
    assert torch.equal(gathered(augment), gathered(augment))
    assert not torch.equal(gathered(augment), gathered(augment, seed=1))


@pytest.mark.parametrize(
    "wrong", [{"colour": 1.5}, {"shift": -0.1}, {"pixels": -1}], ids=str
)
def test_what_is_out_of_range_is_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"{name} must be .*, got {wrong[name]}"):
        Augment(**wrong)
