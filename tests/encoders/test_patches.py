import numpy as np
import pytest
import torch
import torch.nn.functional as F

from worldmodel.encoders.patches import (
    PIXEL_MEAN,
    PIXEL_STD,
    PatchStem,
    check_frames,
    patchify,
)
from worldmodel.encoders.transformer import initialise

PATCH, TUBELET, SIDE = 12, 2, 36


def frames(batch: int = 2, time: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (batch, time, SIDE, SIDE, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def stem() -> ConvStem:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ConvStem(PATCH, TUBELET, cell_dim=5, dim=7)


@torch.no_grad()
def test_the_stem_makes_a_token_per_patch_and_tubelet_in_order():
    made, clip = stem(), frames(time=4)
    tokens = made(clip)
    assert tokens.shape == (2, 18, 7)
    later = made(clip[:, 2:])
    torch.testing.assert_close(tokens[:, 9:], later)
    changed = clip.clone()
    changed[0, 3, 18, 30] ^= 128  # second tubelet, row 1, column 2, inside its patch
    (moved,) = (made(changed) != tokens).any(-1)[0].nonzero(as_tuple=True)
    # The pixel's own token; its cell is the patch's middle one.
    assert 9 + 1 * 3 + 2 in moved.tolist()
    assert set(moved.tolist()) <= set(range(9, 18))


@torch.no_grad()
def test_the_stem_sees_one_cell_beyond_the_patch_and_no_further():
    made, clip = stem(), frames(1, TUBELET)

    def first_token_notices(column: int) -> bool:
        changed = clip.clone()
        changed[0, 0, 0, column] = 255 - changed[0, 0, 0, column]
        # GroupNorm's statistics carry a trace of every pixel; freeze them out.
        return bool((made(changed)[0, 0] - made(clip)[0, 0]).abs().max() > 1e-3)

    assert first_token_notices(PATCH - 1)
    assert first_token_notices(PATCH + 3)


def test_blank_hides_every_pixel_of_hidden_tokens_and_no_other():
    clip = frames(1, 4)
    hidden = torch.zeros(1, 18, dtype=torch.bool)
    hidden[0, [2, 9 + 4]] = True
    blanked = blank(clip, hidden, PATCH, TUBELET)
    expected = clip.clone()
    expected[0, :2, :12, 24:] = 128
    expected[0, 2:, 12:24, 12:24] = 128
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
        (torch.zeros(1, 2, 36, 36, 3, dtype=torch.int64), TypeError, "got int64"),
        (torch.full((1, 2, 36, 36, 3), torch.nan), ValueError, "7776 not finite"),
        (torch.full((1, 2, 36, 36, 3), -1.0), ValueError, r"in \[-1, -1\]"),
        (torch.full((1, 2, 36, 36, 3), 0.5), ValueError, "multiply by 255"),
        (np.zeros((1, 2, 36, 36, 3), np.uint8), TypeError, "got ndarray"),
    ],
)
def test_bad_frames_are_named(bad, error, message):
    with pytest.raises(error, match=message) as raised:
        check_frames(bad, SIDE, SIDE)
    assert "frames must be uint8 (B, T, 36, 36, 3)" in str(raised.value)


def test_float_frames_on_the_pixel_scale_are_accepted():
    check_frames(frames().float(), SIDE, SIDE)
    check_frames(torch.zeros(1, 1, SIDE, SIDE, 3), SIDE, SIDE)
