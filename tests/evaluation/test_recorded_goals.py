import numpy as np
import pytest

from tests.data.synthetic import dataset_spec, episode
from worldmodel.data import DatasetWriter, FrameCache, LeRobotDataset, SplitRule
from worldmodel.evaluation.recorded_goals import RecordedGoals

EPISODES = 40
SHORTEST = 4  # of the synthetic ones


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    root = tmp_path_factory.mktemp("goals")
    with DatasetWriter(root, dataset_spec()) as writer:
        for index in range(EPISODES):
            writer.add(index, episode(index))
    return FrameCache.open(LeRobotDataset.open(root))


def test_starts_are_held_out_and_their_goals_are_in_the_same_episode(frames):
    goals = RecordedGoals.of_states(frames, frames.sim_state, ahead=3)
    rows = goals.starts("validation")
    held_out = [i for i in range(EPISODES) if SplitRule().split_of(i) == "validation"]
    found = set()
    for row in rows.tolist():
        place = int(np.searchsorted(frames.offsets, row, side="right")) - 1
        assert row + 3 < frames.offsets[place + 1]
        found.add(int(frames.episodes[place]))
    assert found == set(held_out)
    lengths = [4 + index % 5 for index in held_out]
    assert len(rows) == sum(length - 3 for length in lengths)
    assert len(set(rows.tolist())) == len(rows)
    np.testing.assert_array_equal(goals.starts("validation"), rows)
    assert not set(goals.starts("test").tolist()) & set(rows.tolist())


def test_a_goal_further_than_any_episode_is_refused(frames):
    goals = RecordedGoals.of_states(frames, frames.sim_state, ahead=30)
    with pytest.raises(ValueError, match="has 2 episodes, the longest of .* ahead=30"):
        goals.starts("validation")


def test_states_of_other_frames_are_refused(frames):
    with pytest.raises(ValueError, match=r"states must be \(N="):
        RecordedGoals.of_states(frames, frames.sim_state[1:], ahead=3)
    with pytest.raises(ValueError, match="ahead must be at least 1 frame, got 0"):
        RecordedGoals.of_states(frames, frames.sim_state, ahead=0)
