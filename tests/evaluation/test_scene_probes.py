import numpy as np
import pytest

from worldmodel.evaluation.probe import fit_network_probe, fit_probe
from worldmodel.evaluation.scene_probes import Scene, SceneProbes


def scene(count: int, seed: int) -> Scene:
    """Half of the cubes on a table, the others in the air."""
    rng = np.random.default_rng(seed)
    cube = rng.uniform(-0.1, 0.1, (count, 3))
    cube[:, 2] = np.where(np.arange(count) % 2, 0.02, rng.uniform(0.05, 0.2, count))
    yaws = rng.uniform(-np.pi, np.pi, (2, count))
    gripper = rng.uniform(-0.1, 0.1, (count, 3))
    return Scene(gripper, cube, yaws[0], yaws[1], np.ones(count, bool))


def told(some: Scene) -> np.ndarray:
    """Latents that tell everything but the yaw of the cube, turned about."""
    hand = np.stack((np.sin(some.gripper_yaw), np.cos(some.gripper_yaw)), axis=1)
    columns = np.hstack((some.gripper, some.cube, hand))
    turn, _ = np.linalg.qr(np.random.default_rng(9).normal(size=(8, 8)))
    return columns @ turn + 1.0


def test_probes_of_a_scene_read_what_latents_tell_and_nothing_else():
    known, other = scene(400, 0), scene(200, 1)
    found = SceneProbes(told(known), known).errors(told(other), other)
    assert set(found) == {
        *("gripper_cm", "gripper_yaw_deg", "cube_in_air_cm"),
        *("cube_on_table_cm", "cube_on_table_yaw_deg"),
    }
    for name in ("gripper_cm", "gripper_yaw_deg", "cube_on_table_cm", "cube_in_air_cm"):
        assert found[name][0] < 0.5, name
    assert found["cube_on_table_yaw_deg"][0] > 60  # chance is 104


def test_a_constant_error_is_given_in_centimetres():
    known = scene(400, 0)
    shifted = Scene(**{**vars(known), "gripper": known.gripper + [0.03, 0.0, 0.04]})
    error = SceneProbes(told(known), known).errors(told(known), shifted)["gripper_cm"]
    assert error == pytest.approx((5.0, 5.0), abs=0.2)


def test_a_network_reads_what_no_line_does():
    rng = np.random.default_rng(0)
    latents = rng.uniform(-1, 1, (600, 2))
    targets = latents[:, :1] * latents[:, 1:]
    line = fit_probe(latents[:400], targets[:400]).predict(latents[400:])
    network = fit_network_probe(latents[:400], targets[:400], hidden=32, steps=300)
    read = network.predict(latents[400:])
    spread = targets.std()
    assert np.sqrt(((line - targets[400:]) ** 2).mean()) > 0.9 * spread
    assert np.sqrt(((read - targets[400:]) ** 2).mean()) < 0.2 * spread
    again = fit_network_probe(latents[:400], targets[:400], hidden=32, steps=300)
    np.testing.assert_array_equal(read, again.predict(latents[400:]))


def test_a_network_probe_refuses_nan():
    latents = np.full((20, 2), np.nan)
    with pytest.raises(ValueError, match="finite latents"):
        fit_network_probe(latents, np.zeros((20, 1)))
