import dataclasses

import pytest
import torch

from tests.training.toy import EPISODES, STEPS, toy_frames
from worldmodel.data import SplitRule
from worldmodel.errors import WorldModelError
from worldmodel.training.proprio import standardised_proprio

FRAMES = toy_frames()


def test_the_training_split_has_mean_zero_and_variance_one():
    felt = standardised_proprio(FRAMES, 2)
    rule = SplitRule()
    trains = [i for i in range(EPISODES) if rule.split_of(i) == "train"]
    seen = felt.view(EPISODES, STEPS, 2)[trains].flatten(0, 1)
    torch.testing.assert_close(seen.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.var(0, correction=0), torch.ones(2))


def test_what_never_changes_is_zero():
    still = FRAMES.proprio.copy()
    still[:, 1] = 3.0
    frames = dataclasses.replace(FRAMES, proprio=still)
    assert (standardised_proprio(frames, 2)[:, 1] == 0).all()


def test_none_can_be_asked_for():
    assert standardised_proprio(FRAMES, 0).shape == (EPISODES * STEPS, 0)


def test_more_than_there_is_is_an_error():
    with pytest.raises(WorldModelError, match=r"proprio must be in \[0, 2\].* got 3"):
        standardised_proprio(FRAMES, 3)
