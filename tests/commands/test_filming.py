import numpy as np
import pytest

from tests.evaluation.fakes import episode
from worldmodel.commands.filming import FilmCutter, film_places
from worldmodel.errors import OptionError
from worldmodel.evaluation.film_subject import Subject
from worldmodel.evaluation.runner import Moment


def cut(folder, outcomes, places=(), group=8):
    """Films problems with these outcomes in groups and gives the films' names."""
    cutter = FilmCutter(Subject("Point", 1, 0.05), folder, places, bank=None)
    for start in range(0, len(outcomes), group):
        indices = np.arange(start, min(start + group, len(outcomes)))
        images = np.zeros((len(indices), 8, 8, 3), np.uint8)
        for step in range(2):
            size = len(indices)
            states, far = np.zeros((size, 3)), np.ones(size)
            solved = np.zeros(size, bool)
            cutter(
                Moment(indices, step, images, images, states, states, far, solved, None)
            )
        for index in indices:
            cutter.finish(episode(int(index), outcomes[index]))
    assert sorted(cutter.written) == sorted(folder.glob("*.mp4"))
    return [path.stem for path in cutter.written]


def test_one_success_and_one_failure_are_filmed_in_whatever_group_they_occur(tmp_path):
    outcomes = [True] * 9 + [False] * 2 + [True] * 5
    assert cut(tmp_path, outcomes) == ["point_000_success", "point_009_failure"]


def test_chosen_places_are_filmed_too(tmp_path):
    films = cut(tmp_path, [False, True, True, True], places={2, 3})
    assert films == [
        "point_000_failure",
        "point_001_success",
        "point_002_success",
        "point_003_success",
    ]


@pytest.mark.parametrize(
    ("option", "places"), [(None, set()), (0, set()), (2, {0, 1}), ([3, 1], {1, 3})]
)
def test_a_count_or_a_list_names_places(option, places):
    assert film_places(option, n=4) == places


@pytest.mark.parametrize("option", [-1, 5, True, [4], [-1], ["a"], "all", 1.5])
def test_other_choices_of_films_are_refused(option):
    with pytest.raises(OptionError, match="film must be a count in .0, n=4. or a list"):
        film_places(option, n=4)
