import numpy as np
import pytest

from envs.simulation import Quantities
from envs.tasks import TASKS, find_task

STILL = np.array([1.0, 0.0, 0.0, 0.0])


def at(gripper: float, cube: float) -> Quantities:
    """Gripper and cube at heights above the origin [m]."""
    up = np.array([0.0, 0.0, 1.0])
    return Quantities(gripper * up, 0.0, 0.0, cube * up, STILL, 0.0)


@pytest.mark.parametrize(
    ("name", "budget", "most", "main"),
    [("Reach", 25, 0.02, 0), ("Push", 50, 0.025, 1), ("PickPlace", 50, 0.025, 1)],
)
def test_success_reads_only_the_tasks_own_distance(name, budget, most, main):
    task = TASKS[name]
    assert task.budget == budget
    goal = at(0.0, 0.0)
    for gap, solved in ((most - 1e-6, True), (most + 1e-6, False)):
        heights = [9.0, 9.0]
        heights[main] = gap
        distances = task.distances(at(*heights), goal)
        assert task.is_success(distances) is solved
        assert distances[task.main] == pytest.approx(gap)


@pytest.mark.parametrize("name", ["PickPlace", "pick_place", "pick-place", "pickplace"])
def test_a_task_is_found_whatever_its_capitals_and_separators(name):
    assert find_task(name) is TASKS["PickPlace"]
