import pytest
import torch

from tests.training.toy import EPISODES, STEPS, toy_frames
from worldmodel.data import SplitRule
from worldmodel.errors import WorldModelError
from worldmodel.training.blobs import (
    background_image,
    blob_sums,
    blob_targets,
    find_blobs,
    unexplained,
)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def toy_targets(count: int) -> torch.Tensor:
    cache = toy_frames()
    background = background_image(cache, seeded())
    blobs = find_blobs(cache, count, background, seeded())
    return blob_targets(cache, blob_sums(cache, blobs, background))


def test_the_usual_picture_of_the_toy_world_is_dark():
    assert background_image(toy_frames(), seeded()).max() == 0


def test_words_tell_where_the_square_is():
    cache = toy_frames()
    targets = toy_targets(1)
    assert targets.shape == (EPISODES * STEPS, 1, 4)
    row = torch.from_numpy(cache.proprio[:, 0])
    told = torch.corrcoef(torch.stack((row, targets[:, 0, 0])))[0, 1]
    assert told > 0.98
    trains = torch.from_numpy(SplitRule().holds("train", cache.episodes).repeat(STEPS))
    torch.testing.assert_close(targets[trains, 0, 3].mean(), torch.tensor(1.0))
    assert targets[trains, 0, 2].std() == pytest.approx(1.0, abs=1e-3)


def test_words_of_the_robot_are_told_from_others_by_proprio():
    cache = toy_frames()  # proprio is the place of the square
    targets = toy_targets(1)
    generator = torch.Generator().manual_seed(1)
    other = torch.randn(targets.shape, generator=generator)
    other[..., 3] = 1.0
    shares = unexplained(torch.cat((targets, other), dim=1), cache)
    assert shares.shape == (2, 2)
    assert (shares[0] < 0.05).all()
    assert (shares[1] > 0.9).all()


def test_no_words_are_no_targets():
    cache = toy_frames()
    none = torch.zeros(len(cache.frames), 0, 3)
    assert blob_targets(cache, none).shape == (len(cache.frames), 0, 4)


def test_more_words_than_pixels_are_refused():
    cache = toy_frames()
    with pytest.raises(WorldModelError, match=r"blobs must be in \[1, .* got 1000000"):
        find_blobs(cache, 1_000_000, background_image(cache, seeded()), seeded())
