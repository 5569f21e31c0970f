import numpy as np
import pytest

from worldmodel.evaluation.gates import (
    axis_response,
    candidate_ranking,
    cost_ranking,
    open_loop,
    shuffle_actions,
    spearman,
    wrong_axes,
)
from worldmodel.evaluation.probe import Probe

# Reads the position [m] that the latent is.
IDENTITY = Probe((1, 2), np.zeros(2), np.ones(2), np.eye(2), np.zeros(2))


def test_open_loop_error_grows_where_nothing_moves_and_not_where_imagination_is_true():
    steps = 0.01 * np.arange(1, 5)
    positions = np.zeros((6, 4, 2))
    positions[..., 0] = steps
    encoded = positions[:, :, None]
    shuffled = -encoded
    still = np.zeros((6, 1, 2))
    errors = open_loop(IDENTITY, encoded, still, shuffled, encoded, positions)
    np.testing.assert_allclose(errors.imagined, 0, atol=1e-12)
    np.testing.assert_allclose(errors.nothing_moves, [1, 2, 3, 4])
    np.testing.assert_allclose(errors.shuffled, [2, 4, 6, 8])
    np.testing.assert_allclose(errors.probe_floor, 0, atol=1e-12)


def test_open_loop_refuses_futures_of_another_length():
    encoded = np.zeros((6, 4, 1, 2))
    positions, start = np.zeros((6, 4, 2)), np.zeros((6, 1, 2))
    with pytest.raises(ValueError, match=r"shuffled must have shape \(6, 4, 1, 2\)"):
        open_loop(IDENTITY, encoded, start, encoded[:, :3], encoded, positions)


def test_shuffled_actions_are_always_those_of_another_row():
    actions = np.arange(7.0)[:, None, None]
    for seed in range(20):
        shuffled = shuffle_actions(actions, seed)
        assert sorted(shuffled.ravel()) == list(range(7))
        assert (shuffled != actions).all()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 2, 3, 4], [10, 100, 1000, 10000], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        # 1 - 6 sum d^2 / (n (n^2 - 1)) with d = 1, 1, 0, 1, 1.
        ([1, 2, 3, 4, 5], [2, 1, 3, 5, 4], 0.8),
        # Ties: the Pearson correlation of ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4.
        ([0, 1, 1, 2], [5, 7, 6, 8], 4.5 / np.sqrt(4.5 * 5)),
    ],
)
def test_spearman_gives_the_textbook_values(first, second, expected):
    assert spearman(np.array(first), np.array(second)) == pytest.approx(expected)


def test_spearman_of_a_constant_is_undefined():
    assert np.isnan(spearman(np.ones(4), np.arange(4)))


def test_cost_ranking_tells_along_from_across():
    distances = np.array([[0.3, 0.2, 0.1], [0.6, 0.5, 0.4]])
    # Right within each episode; between them the order is turned round.
    costs = np.array([[30.0, 20.0, 10.0], [3.0, 2.0, 1.0]])
    ranking = cost_ranking(costs, distances)
    assert ranking.along == 1.0
    assert ranking.across < 0
    assert ranking.episodes == 2


def test_axis_response_has_the_size_and_sign_of_the_motion():
    plus = np.zeros((3, 2, 1, 2))
    plus[:, 0, 0, 0] = 0.05
    plus[:, 1, 0, 1] = -0.02
    response = axis_response(IDENTITY, plus, -plus)
    np.testing.assert_allclose(response, [[5, 0], [0, -2]])
    assert wrong_axes(response, ("dx", "dy")) == ["dy"]


def test_an_axis_that_moves_mostly_another_coordinate_is_wrong():
    assert wrong_axes(np.array([[1.0, 3.0], [0.0, 1.0]]), ("dx", "dy")) == ["dx"]


def test_candidate_ranking_of_the_true_cost_is_perfect_and_of_noise_is_chance():
    rng = np.random.default_rng(0)
    true = rng.random((200, 20))
    perfect = candidate_ranking(true**3, true, elites=1)
    assert perfect.correlation == pytest.approx(1.0)
    assert perfect.elites == 0.0
    reverse = candidate_ranking(-true, true, elites=1)
    assert (reverse.correlation, reverse.elites) == (pytest.approx(-1.0), 1.0)
    noise = candidate_ranking(rng.random((200, 20)), true, elites=4)
    assert abs(noise.correlation) < 4 * noise.standard_error
    assert noise.elites == pytest.approx(0.5, abs=0.05)
    assert noise.moments == 200


def test_candidate_ranking_names_what_it_cannot_rank():
    true = np.arange(12.0).reshape(3, 4)
    with pytest.raises(ValueError, match=r"elites must be in \[1, 4\], got 5"):
        candidate_ranking(true, true, elites=5)
    with pytest.raises(ValueError, match="the same for all candidates"):
        candidate_ranking(np.zeros((3, 4)), true, elites=1)
    with pytest.raises(ValueError, match="M >= 2"):
        candidate_ranking(true[:1], true[:1], elites=1)
