import numpy as np
import pytest

from envs.tabletop import TabletopEnv
from envs.variation import SceneOptions
from tests.evaluation.fakes import (
    BUDGET,
    SPEC,
    TOLERANCE_M,
    PointEnv,
    PointModel,
    point_mpc,
    point_problems,
)
from worldmodel.evaluation.distance_curve import distance_curve
from worldmodel.evaluation.film import Film
from worldmodel.evaluation.film_frame import (
    GREEN,
    GREY,
    FilmFrame,
    Panel,
    draw_frame,
    view_side,
)
from worldmodel.evaluation.film_subject import Subject, subject_of
from worldmodel.evaluation.frame_bank import encode_bank
from worldmodel.evaluation.runner import Moment, run
from worldmodel.evaluation.world_model_policy import WorldModelPolicy

SIDE = 64
POINT = Subject("Point", BUDGET, TOLERANCE_M)


@pytest.fixture
def drawn(monkeypatch):
    """Keeps every frame that a film asks to be drawn."""
    asked = []

    def draw(frame, side):
        asked.append(frame)
        return draw_frame(frame, side)

    monkeypatch.setattr("worldmodel.evaluation.film.draw_frame", draw)
    return asked


def moment(step, distance, cost=None, indices=(0,)):
    count = len(indices)
    images = np.full((count, 8, 8, 3), step, np.uint8)
    decision = None
    if cost is not None:
        from worldmodel.evaluation.policy import Decision

        nothing = np.zeros(count, bool)
        decision = Decision(np.zeros((count, 2)), np.full(count, cost), nothing)
    return Moment(
        indices=np.array(indices),
        step=step,
        pixels=images,
        goal_images=images,
        states=np.zeros((count, 3)),
        goals=np.zeros((count, 3)),
        distances=np.full(count, distance),
        solved=np.full(count, distance <= TOLERANCE_M),
        decision=decision,
    )


def outcomes(distances, drawn, subject=None):
    film = Film({0}, subject or Subject("Point", len(distances) - 1, TOLERANCE_M))
    film.side = SIDE
    for step, distance in enumerate(distances):
        film(moment(step, distance))
    film.frames(0)
    return [(frame.outcome, frame.framed) for frame in drawn]


def test_a_film_tells_what_the_imagined_picture_is(drawn):
    problems = point_problems(3)
    bank = encode_bank(problems.goal_images, PointModel().encode)
    film = Film({1}, POINT, bank, side=SIDE)
    policy = WorldModelPolicy(PointModel(), point_mpc(), SPEC)
    rules = problems.protocol("standard", BUDGET)
    list(run(problems, rules, policy, PointEnv(), group=2, watch=film))
    pictures = film.frames(1)
    assert len(pictures) == BUDGET + 1 + 8
    assert {p.shape for p in pictures} == {pictures[0].shape}
    imagined = drawn[0].panels[2]
    assert imagined.caption == "imagined, 4 steps ahead:"
    assert imagined.note == "nearest of 3 real frames"
    assert "planned cost" in drawn[0].facts[-1]
    with pytest.raises(ValueError, match=r"problem 0 was not filmed; filmed: \[1\]"):
        film.frames(0)


def test_a_success_is_marked_from_its_moment_on(drawn):
    assert outcomes([0.3, 0.2, 0.01, 0.02], drawn) == [
        ("not yet", False),
        ("not yet", False),
        ("at the goal since step 2", True),
        ("solved since step 2", True),
    ]
    assert drawn[0].title == "Point, problem 0"
    wanted = ["step 1 of 3", "distance to the goal 20.0 cm (success: 5.0 cm)"]
    assert drawn[1].facts == wanted


def test_a_failure_says_where_it_had_been(drawn):
    assert outcomes([0.3, 0.01, 0.2, 0.2], drawn)[1:] == [
        ("at the goal since step 1", True),
        ("left again, was there at step 1", False),
        ("failed at the end, was there at step 1", True),
    ]
    drawn.clear()
    assert outcomes([0.3, 0.2], drawn)[-1] == ("failed at the end", True)


def test_without_a_known_goal_neither_distance_nor_outcome_is_told(drawn):
    shown = outcomes([0.3, 0.01], drawn, Subject("Point", 1, radius=None))
    assert [text for text, _ in shown] == ["under way", "over"]
    assert drawn[0].facts == ["step 0 of 1"]
    assert len(drawn[0].panels) == 2


def test_the_cost_of_the_last_plan_stands_until_the_next(drawn):
    film = Film({0}, Subject("Point", 3, TOLERANCE_M), side=SIDE)
    for step, cost in enumerate((0.5, np.nan, 0.25, None)):
        film(moment(step, 0.3, cost))
    film.frames(0)
    told = [frame.facts[-1] for frame in drawn]
    assert told == [f"planned cost {cost}" for cost in (0.5, 0.5, 0.25, 0.25)]


def test_the_camera_for_people_shows_the_robot_and_leaves_the_model_s_pictures_alone():
    env = TabletopEnv("Push")
    first, _ = env.reset(seed=3)
    goal, state = env.render_goal(), env.get_state()
    subject = subject_of(env)
    assert subject.open_view is not None
    with subject.open_view(state, 256) as view:
        seen = view(state)
        during = env.observe()["pixels"]
        again = view(state)
    np.testing.assert_array_equal(seen, again)
    np.testing.assert_array_equal(during, first["pixels"])
    np.testing.assert_array_equal(env.observe()["pixels"], first["pixels"])
    np.testing.assert_array_equal(env.render_goal(), goal)
    np.testing.assert_array_equal(env.get_state(), state)
    assert seen.shape == (256, 256, 3)
    assert np.median(seen[:20]) > 150  # no black sky
    env.close()


def test_films_show_the_scene_of_the_env():
    views = []
    for scene in (None, SceneOptions(cube_rgb=(0.1, 0.2, 0.9))):
        env = TabletopEnv("Push", scene=scene)
        env.reset(seed=3)
        subject, state = subject_of(env), env.get_state()
        assert subject.open_view is not None
        with subject.open_view(state, 128) as view:
            views.append(view(state).astype(int))
        env.close()
    assert (np.abs(views[0] - views[1]).max(axis=2) > 40).sum() > 20


def test_panels_are_enlarged_with_sharp_pixels():
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 1] = 255
    view = np.full((40, 40, 3), 128, np.uint8)
    frame = FilmFrame("a", "b", GREY, ["c"], view, [Panel(image, "d")] * 3)
    picture = draw_frame(frame, SIDE)
    assert picture.shape[0] % 2 == picture.shape[1] % 2 == 0
    assert picture.shape[0] > view_side(SIDE)
    is_white = (picture == 255).all(axis=2)
    assert is_white.sum() >= 3 * (SIDE // 2) ** 2
    with pytest.raises(ValueError, match="at least 1 panel, got 0"):
        draw_frame(FilmFrame("a", "b", GREY, [], None, []), SIDE)


def test_the_curve_marks_the_step_of_success_only_once_it_came():
    def greens(reached):
        curve = distance_curve([20, 10, 2], 2.5, 50, reached, 192, (25, "cm"))
        return (curve == GREEN).all(axis=2).sum()

    assert greens(2) > greens(None) + 100
