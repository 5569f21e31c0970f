import numpy as np
import pytest
import torch
from PIL import Image

from tests.encoders.published.layouts import film
from worldmodel.encoders.published.preparation import (
    STATISTICS,
    Preparation,
    prepare,
)


@pytest.mark.parametrize("size", [(480, 640), (640, 480), (96, 96), (292, 389)])
@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
def test_the_middle_is_what_pillow_resizes(size, kind):
    # not from 0 to 255: Pillow also clamps between its two passes
    noise = film(1, 1, 640)[0, 0, : size[0], : size[1]].numpy() // 2 + 64
    picture = Image.fromarray(noise)
    short = min(size)
    rows, columns = (int(292 * side / short) for side in size)
    resample = getattr(Image.Resampling, kind.upper())
    resized = np.asarray(picture.resize((columns, rows), resample), np.float32)
    top, left = round((rows - 256) / 2), round((columns - 256) / 2)
    middle = resized[top : top + 256, left : left + 256]
    how = Preparation(256, 292, interpolation=kind)
    found = prepare(torch.from_numpy(noise)[None], how)
    assert found.shape == (1, 3, 256, 256)
    mean, std = (torch.tensor(s)[:, None, None] for s in STATISTICS["imagenet"])
    pixels = (found[0] * std + mean) * 255
    difference = pixels - torch.from_numpy(middle).permute(2, 0, 1)
    assert float(difference.abs().max()) < 1.5


def test_the_whole_picture_is_seen_where_nothing_is_cut():
    picture = torch.zeros(1, 40, 60, 3, dtype=torch.uint8)
    picture[:, :, 53:] = 255  # the middle square of 40 lacks it
    whole = prepare(picture, Preparation(20, 0, "half"))
    cut = prepare(picture, Preparation(20, 20, "half"))
    assert whole.shape == cut.shape == (1, 3, 20, 20)
    assert float(whole[..., -2:].min()) == 1.0
    assert float(cut.max()) == -1.0


def test_a_picture_of_the_right_size_is_only_normalised():
    picture = film(1, 1, 32)[0]
    found = prepare(picture, Preparation(32, 32, "half"))
    expected = picture.permute(0, 3, 1, 2) / 127.5 - 1
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (
            (32, 16),
            "resize must be at least crop=32, or 0 for the whole picture, got 16",
        ),
        ((0, 0), "crop must be at least 1, got 0"),
        ((32, 32, "clip"), "statistics must be one of imagenet, half, got 'clip'"),
        ((32, 32, "half", "nearest"), "interpolation must be one of bilinear, bicubic"),
    ],
)
def test_a_preparation_that_is_none_is_refused(values, match):
    with pytest.raises(ValueError, match=match):
        Preparation(*values)
