import dataclasses
import json

import numpy as np
import pytest

from tests.evaluation.fakes import is_close, point_problem, point_problems
from worldmodel.evaluation.problem_files import load_problems, save_problems
from worldmodel.evaluation.problems import collect_problems, unsolved_problems
from worldmodel.evaluation.protocol import SPLIT_SEEDS


def test_no_problem_is_solved_at_the_start():
    def is_solved(problem):
        return problem.seed in (10_000_001, 11_000_001)

    made = list(unsolved_problems("validation", 3, point_problem, is_solved))
    assert [p.seed for p in made] == [10_000_000, 12_000_001, 10_000_002]


def test_a_task_that_is_always_solved_is_an_error():
    with pytest.raises(ValueError, match="seed 20000000 gave 10 problems in a row"):
        list(unsolved_problems("test", 1, point_problem, lambda problem: True))


def test_the_first_problems_of_a_larger_set_are_the_smaller_set():
    assert point_problems(9).head(4).fingerprint == point_problems(4).fingerprint


def test_the_splits_give_different_problems():
    sets = [point_problems(4, split) for split in SPLIT_SEEDS]
    starts = np.concatenate([problems.states for problems in sets])
    assert len(np.unique(starts, axis=0)) == 12


def test_a_set_comes_back_from_disk_bit_for_bit(tmp_path):
    problems = point_problems(5)
    save_problems(problems, tmp_path)
    back = load_problems(tmp_path, environment="point-env")
    assert back.fingerprint == problems.fingerprint
    assert (back.task, back.split, len(back)) == ("Point", "validation", 5)
    np.testing.assert_array_equal(back.goal_images, problems.goal_images)
    np.testing.assert_array_equal(back.goals, problems.goals)


def test_any_changed_bit_changes_the_fingerprint():
    problems = point_problems(3)
    states = problems.states.copy()
    states[1, 0] = np.nextafter(states[1, 0], 2)
    changed = dataclasses.replace(problems, states=states)
    assert changed.fingerprint != problems.fingerprint


def test_problems_of_another_environment_are_refused(tmp_path):
    save_problems(point_problems(2), tmp_path)
    with pytest.raises(ValueError, match="made in environment point-env, this one is"):
        load_problems(tmp_path, environment="another")


def test_an_unfinished_set_is_refused(tmp_path):
    save_problems(point_problems(2), tmp_path)
    (tmp_path / "problems.json").unlink()
    with pytest.raises(ValueError, match=r"problems\.json is missing; delete the"):
        load_problems(tmp_path)


def test_arrays_of_another_set_are_refused(tmp_path):
    save_problems(point_problems(3), tmp_path / "a")
    save_problems(point_problems(2), tmp_path / "b")
    arrays = (tmp_path / "b" / "problems.npz").read_bytes()
    (tmp_path / "a" / "problems.npz").write_bytes(arrays)
    with pytest.raises(ValueError, match="half-written: its n is 2, its manifest"):
        load_problems(tmp_path / "a")


def test_a_cut_off_file_is_refused(tmp_path):
    save_problems(point_problems(3), tmp_path)
    path = tmp_path / "problems.npz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"problems\.npz cannot be read"):
        load_problems(tmp_path)


def test_a_manifest_of_another_version_is_refused(tmp_path):
    save_problems(point_problems(2), tmp_path)
    path = tmp_path / "problems.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 99}))
    with pytest.raises(ValueError, match="must have version 1, got 99"):
        load_problems(tmp_path)


def test_a_set_holds_one_task_and_seeds_of_its_split():
    made = list(unsolved_problems("train", 2, point_problem, is_close))
    with pytest.raises(ValueError, match=r"seeds of split 'test' must be in \[200"):
        collect_problems(made, "test", "point-env")
    other = dataclasses.replace(made[1], task="Other")
    with pytest.raises(ValueError, match=r"exactly 1 task, got \['Other', 'Point'\]"):
        collect_problems([made[0], other], "train", "point-env")
