import torch

from worldmodel.training.objectives.target_weights import motion


def test_motion_is_where_pixels_change_within_the_clip():
    clip = torch.full((1, 4, 24, 36, 3), 100, dtype=torch.uint8)
    clip[0, 2:, 12:, 12:24] = 200  # patch 4 of 2 x 3, in the second half
    weights = motion(clip, patch=12, tubelet=2)
    expected = torch.zeros(1, 12)
    expected[0, [4, 10]] = 50 / 255
    torch.testing.assert_close(weights, expected)
