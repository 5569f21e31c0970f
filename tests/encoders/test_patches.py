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


def test_the_stem_is_two_strided_convolutions():
    stem = PatchStem(PATCH, TUBELET, cell_dim=5, dim=7)
    initialise(stem, torch.Generator().manual_seed(0))
    clip = frames(time=TUBELET)
    tokens = stem(patchify(clip, PATCH, TUBELET))
    image = (clip.float() - PIXEL_MEAN) / PIXEL_STD
    image = image.permute(0, 1, 4, 2, 3).flatten(1, 2)  # (B, 2 * 3, h, w)
    kernel = stem.cell.weight.view(5, TUBELET, 4, 4, 3).permute(0, 1, 4, 2, 3)
    cells = F.gelu(F.conv2d(image, kernel.flatten(1, 2), stem.cell.bias, stride=4))
    kernel = stem.patch.weight.view(7, 3, 3, 5).permute(0, 3, 1, 2)
    expected = F.conv2d(cells, kernel, stem.patch.bias, stride=3)  # (B, 7, 3, 3)
    torch.testing.assert_close(tokens, expected.flatten(2).transpose(1, 2))


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
