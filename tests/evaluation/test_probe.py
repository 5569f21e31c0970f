import numpy as np
import pytest

from worldmodel.evaluation.probe import (
    axis_rmse_cm,
    fit_probe,
    r_squared,
    rmse_cm,
    yaw_rmse_deg,
    yaw_targets,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_probe_recovers_a_linear_map(rng):
    latents = rng.normal(size=(200, 2, 3)) * 5 + 1
    weight = rng.normal(size=(6, 3))
    targets = latents.reshape(200, 6) @ weight + 0.3
    probe = fit_probe(latents[:150], targets[:150], strength=1e-9)
    np.testing.assert_allclose(probe.predict(latents[150:]), targets[150:], atol=1e-6)
    assert r_squared(probe.predict(latents), targets) == pytest.approx(1.0)


def test_a_probe_is_the_minimum_of_the_ridge_objective(rng):
    latents, targets = rng.normal(size=(50, 4)), rng.normal(size=(50, 2))
    probe = fit_probe(latents, targets, strength=0.3)
    x = (latents - probe.mean) / probe.scale

    def objective(weight):
        error = x @ weight + probe.bias - targets
        return (error**2).sum() + 0.3 * 50 * (weight**2).sum()

    best = objective(probe.weight)
    for _ in range(20):
        step = rng.normal(size=probe.weight.shape) * 1e-3
        assert objective(probe.weight + step) > best


def test_a_constant_feature_does_no_harm(rng):
    latents = np.concatenate([rng.normal(size=(30, 2)), np.ones((30, 1))], axis=1)
    probe = fit_probe(latents, latents[:, :1])
    assert np.isfinite(probe.predict(latents)).all()


def test_a_probe_takes_any_leading_shape(rng):
    probe = fit_probe(rng.normal(size=(20, 2, 3)), rng.normal(size=(20, 3)))
    assert probe.predict(rng.normal(size=(4, 5, 2, 3))).shape == (4, 5, 3)
    with pytest.raises(ValueError, match=r"must end in \(2, 3\), got \(4, 5\)"):
        probe.predict(rng.normal(size=(4, 5)))


def test_a_probe_refuses_nan(rng):
    latents = rng.normal(size=(20, 6))
    latents[3, 2] = np.nan
    with pytest.raises(ValueError, match="finite latents"):
        fit_probe(latents, latents[:, :1])


def test_errors_are_in_centimetres():
    true = np.zeros((2, 3))
    predicted = np.array([[0.03, 0.04, 0.0], [0.0, 0.0, 0.0]])
    assert rmse_cm(predicted, true) == pytest.approx(5 / np.sqrt(2))
    assert axis_rmse_cm(predicted, true) == pytest.approx(
        np.array([3, 4, 0]) / np.sqrt(2)
    )


@pytest.mark.parametrize("symmetry", [1, 4])
def test_an_angle_error_is_the_shorter_way_round(symmetry):
    yaw = np.array([3.1, -3.1, 0.2])
    guess = yaw_targets(yaw + np.radians(5), symmetry) * 0.7
    assert yaw_rmse_deg(guess, yaw, symmetry) == pytest.approx(5.0)


def test_a_quarter_turn_of_a_plain_cube_is_no_error():
    yaw = np.array([0.1, 0.9])
    guess = yaw_targets(yaw + np.pi / 2, symmetry=4)
    assert yaw_rmse_deg(guess, yaw, symmetry=4) == pytest.approx(0.0, abs=1e-6)
