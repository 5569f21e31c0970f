import numpy as np

from worldmodel.data import statistics


def test_vectors_match_numpy_over_all_rows() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.normal(3, 2, (n, 4)).astype(np.float32) for n in (1, 7, 40)]
    merged = statistics.merge_all([{"x": statistics.of_rows(p)} for p in parts])["x"]
    rows = np.concatenate(parts).astype(np.float64)
    np.testing.assert_allclose(merged.mean, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(merged.std, rows.std(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(merged.min, rows.min(axis=0))
    np.testing.assert_array_equal(merged.max, rows.max(axis=0))
    assert merged.count == 48


def test_frames_match_numpy_over_all_pixels() -> None:
    rng = np.random.default_rng(1)
    frames = rng.integers(10, 200, (6, 5, 7, 3), dtype=np.uint8)
    found = statistics.of_frames(frames)
    pixels = frames.reshape(-1, 3) / 255
    assert found.mean.shape == (3, 1, 1)
    np.testing.assert_allclose(found.mean.ravel(), pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.std.ravel(), pixels.std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.min.ravel(), pixels.min(axis=0))
    np.testing.assert_allclose(found.max.ravel(), pixels.max(axis=0))
    assert found.count == 6


def test_json_keeps_every_digit() -> None:
    rows = np.random.default_rng(2).normal(size=(9, 2))
    found = statistics.of_rows(rows)
    again = statistics.FeatureStatistics.from_json(found.to_json())
    assert again.to_json() == found.to_json()
