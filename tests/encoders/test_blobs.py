import pytest
import torch

from worldmodel.encoders.blobs import ColorBlobs

USUAL = torch.full((8, 10, 3), 100, dtype=torch.uint8)
RED, BLUE = (250, 10, 10), (10, 10, 250)


@pytest.fixture
def blobs() -> ColorBlobs:
    blobs = ColorBlobs(2)
    blobs.set(torch.tensor([RED, BLUE], dtype=torch.float32))
    return blobs


def pictures() -> torch.Tensor:
    made = USUAL.repeat(2, 1, 1, 1)
    made[0, 0, :2] = torch.tensor(RED, dtype=torch.uint8)
    made[0, 7, 9] = torch.tensor(BLUE, dtype=torch.uint8)
    made[1, 3:5, 4:6] = torch.tensor((230, 40, 0), dtype=torch.uint8)  # reddish
    made[1, 0, 0] = 110  # too near to what is background
    return made


def test_sums_are_over_the_pixels_of_each_word(blobs: ColorBlobs):
    sums = blobs.sums(pictures(), USUAL)
    assert sums.shape == (2, 2, 6)
    means = sums[..., 1:3] / sums[..., :1].clamp(min=1.0)
    left = (-1 + (-1 + 2 / 9)) / 2
    torch.testing.assert_close(sums[..., 0], torch.tensor([[2.0, 1.0], [4.0, 0.0]]))
    expected = torch.tensor([[[-1, left], [1, 1]], [[0, 0], [0, 0]]])
    torch.testing.assert_close(means, expected, rtol=0, atol=1e-6)


def test_widths_are_the_variances_of_rows_and_columns(blobs: ColorBlobs):
    sums = blobs.sums(pictures(), USUAL)[1, 0]
    rows, columns = torch.linspace(-1, 1, 8)[3:5], torch.linspace(-1, 1, 10)[4:6]
    expected = torch.stack((rows.square().mean(), columns.square().mean()))
    torch.testing.assert_close(sums[[3, 5]] / sums[0], expected)


def test_a_picture_tells_the_same_alone_and_among_others(blobs: ColorBlobs):
    together = blobs(pictures(), USUAL)
    for place in range(2):
        alone = blobs(pictures()[place : place + 1], USUAL)
        assert torch.equal(alone[0], together[place])


def test_pixels_as_numbers_tell_what_bytes_tell(blobs: ColorBlobs):
    torch.testing.assert_close(
        blobs(pictures().float(), USUAL), blobs(pictures(), USUAL)
    )


def test_colours_that_are_loaded_count_like_those_that_were_set(blobs: ColorBlobs):
    other = ColorBlobs(2)
    assert not torch.equal(other(pictures(), USUAL), blobs(pictures(), USUAL))
    other.load_state_dict(blobs.state_dict())
    assert torch.equal(other(pictures(), USUAL), blobs(pictures(), USUAL))


def test_what_is_told_of_the_frames_of_a_standard_is_standardised(blobs: ColorBlobs):
    many = pictures().repeat(3, 1, 1, 1)
    blobs.standardise(many, USUAL)
    told = blobs(many, USUAL)
    torch.testing.assert_close(told.mean(dim=0), torch.zeros(2, 7), rtol=0, atol=1e-5)
    assert told.std(dim=0, correction=0).max() < 1.0
    again = blobs.mean.clone()
    blobs.standardise(many, USUAL)
    torch.testing.assert_close(blobs.mean, again)


def test_colours_of_another_number_are_refused(blobs: ColorBlobs):
    with pytest.raises(ValueError, match=r"colours must be \(2, 3\), got \(3, 3\)"):
        blobs.set(torch.zeros(3, 3))


def test_a_slot_has_the_pixels_of_its_colours():
    slotted = ColorBlobs(2, slots=1)
    colours = torch.tensor([RED, BLUE], dtype=torch.float32)
    slotted.set(colours, torch.tensor([[1.0, 1.0]]))
    sums = slotted.sums(pictures(), USUAL)
    assert sums.shape == (2, 3, 6)
    torch.testing.assert_close(sums[:, 2], sums[:, 0] + sums[:, 1])
