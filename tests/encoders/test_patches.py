import numpy as np
import pytest
import torch
import torch.nn.functional as F

from worldmodel.encoders.patches import (
    PIXEL_STD,
    ConvStem,
    FeaturePoints,
    blank,
    check_frames,
    patchify,
)

PATCH, TUBELET, SIDE = 12, 2, 36


def frames(batch: int = 2, time: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (batch, time, SIDE, SIDE, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def background() -> torch.Tensor:
    return frames(1, 1)[0, 0].flip(0)


def stem() -> ConvStem:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ConvStem(PATCH, TUBELET, cell_dim=5, dim=7)


def convolve(x: torch.Tensor, layer: torch.nn.Conv2d, padding: int = 0) -> torch.Tensor:
    """A convolution as one matrix product over unfolded squares."""
    side, stride = layer.kernel_size[0], layer.stride[0]
    squares = F.unfold(x, side, padding=padding, stride=stride)  # (B, C k k, places)
    assert layer.bias is not None
    out = layer.weight.flatten(1) @ squares + layer.bias[:, None]
    return out.unflatten(2, (x.shape[2] // stride, x.shape[3] // stride))


@torch.no_grad()
def test_the_stem_is_cells_mixed_once_and_gathered_into_patches():
    made, clip = stem(), frames(time=TUBELET)
    image = (clip.double() - background().double()) / PIXEL_STD
    image = image.permute(0, 1, 4, 2, 3).flatten(1, 2)  # (B, 2 * 3, h, w)
    exact = made.double()
    cells = F.gelu(convolve(image, exact.cell))
    spread = cells.var((1, 2, 3), keepdim=True, correction=0)
    normed = (cells - cells.mean((1, 2, 3), keepdim=True)) / (spread + 1e-5).sqrt()
    mixed = F.gelu(convolve(normed, exact.mix, padding=1))
    expected = convolve(cells + convolve(mixed, exact.leave), exact.patch)
    expected = expected.flatten(2).transpose(1, 2)  # (B, 9, 7)
    torch.testing.assert_close(exact(clip, background()), expected)


@torch.no_grad()
def test_tubelets_go_through_the_stem_one_by_one_in_the_order_of_time():
    made, clip = stem(), frames(time=4)
    tokens = made(clip, background())
    assert tokens.shape == (2, 18, 7)
    apart = [made(clip[:, :2], background()), made(clip[:, 2:], background())]
    torch.testing.assert_close(tokens, torch.cat(apart, dim=1))


def test_hidden_tokens_look_as_usual_and_no_other_pixel_changes():
    clip = frames(1, 4)
    hidden = torch.zeros(1, 18, dtype=torch.bool)
    hidden[0, [2, 9 + 4]] = True
    blanked = blank(clip, hidden, background(), PATCH, TUBELET)
    expected = clip.clone()
    expected[0, :2, :12, 24:] = background()[:12, 24:]
    expected[0, 2:, 12:24, 12:24] = background()[12:24, 12:24]
    assert torch.equal(blanked, expected)
    assert blanked.dtype == torch.uint8


def test_patchify_moves_every_pixel_to_its_own_token():
    clip = torch.zeros(1, 4, SIDE, SIDE, 3, dtype=torch.uint8)
    clip[0, 3, 13, 25, 1] = 200  # second tubelet, row 1, column 2 of a 3 x 3 grid
    patches = patchify(clip, PATCH, TUBELET)
    assert patches.shape == (1, 18, 9, TUBELET * 4 * 4 * 3)
    assert patches.sum() == 200
    assert patches[0, 9 + 1 * 3 + 2].sum() == 200


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (torch.zeros(1, 2, 24, 36, 3, dtype=torch.uint8), ValueError, "24, 36, 3"),
        (torch.zeros(2, 36, 36, 3, dtype=torch.uint8), ValueError, "uint8 .2, 36"),
        (torch.zeros(1, 2, 3, 36, 36, dtype=torch.uint8), ValueError, "3, 36, 36"),
        (torch.zeros(0, 2, 36, 36, 3, dtype=torch.uint8), ValueError, "at least 1"),
        (torch.zeros(1, 2, 36, 36, 3, dtype=torch.int64), ValueError, "got int64"),
        (torch.full((1, 2, 36, 36, 3), torch.nan), ValueError, "7776 not finite"),
        (torch.full((1, 2, 36, 36, 3), -1.0), ValueError, r"in \[-1, -1\]"),
        (torch.full((1, 2, 36, 36, 3), 0.5), ValueError, "multiply by 255"),
        (np.zeros((1, 2, 36, 36, 3), np.uint8), ValueError, "got ndarray"),
    ],
)
def test_bad_frames_are_named(bad, error, message):
    with pytest.raises(error, match=message) as raised:
        check_frames(bad, SIDE, SIDE)
    assert "frames must be uint8 (B, T, 36, 36, 3)" in str(raised.value)


def test_float_frames_on_the_pixel_scale_are_accepted():
    check_frames(frames().float(), SIDE, SIDE)
    check_frames(torch.zeros(1, 1, SIDE, SIDE, 3), SIDE, SIDE)


def _one_feature(sharp: float) -> FeaturePoints:
    points = FeaturePoints(cell_dim=2, points=1, dim=4)
    with torch.no_grad():
        points.score.weight.copy_(torch.tensor([[sharp, 0.0]]))
        points.score.bias.zero_()
    return points


def test_a_point_lies_where_its_feature_is():
    cells = torch.zeros(3, 5, 9, 2)
    for clip, (row, column) in enumerate(((0, 0), (2, 4), (4, 8))):
        cells[clip, row, column, 0] = 1.0
    found = _one_feature(100.0).places(cells)[:, 0, :2]
    expected = torch.tensor([[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0]])
    torch.testing.assert_close(found, expected)


def test_a_point_lies_between_two_cells_that_share_a_feature():
    cells = torch.zeros(1, 3, 3, 2)
    cells[0, 1, 1:, 0] = 1.0
    found = _one_feature(100.0).places(cells)[0, 0, :2]
    torch.testing.assert_close(found, torch.tensor([0.0, 0.5]))


def test_more_of_a_feature_is_a_larger_amount():
    less, more = torch.zeros(1, 4, 4, 2), torch.zeros(1, 4, 4, 2)
    less[0, 0, 0, 0] = 1.0
    more[0, :2, :2, 0] = 1.0
    points = _one_feature(3.0)
    assert points.places(more)[0, 0, 2] > points.places(less)[0, 0, 2]


def test_no_points_are_refused():
    with pytest.raises(ValueError, match="points must be at least 1, got 0"):
        FeaturePoints(cell_dim=2, points=0, dim=4)
