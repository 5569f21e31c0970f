"""A linear probe: reads physical quantities out of latents, in centimetres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worldmodel.errors import WorldModelError

_CM_PER_M = 100.0


@dataclass(frozen=True)
class Probe:
    """A linear map from flattened latents to targets.

    Attributes:
        latent_shape: Shape of one latent, (P, D) or (F,), with P D = F.
        mean: (F,) mean of the features it was fitted on.
        scale: (F,) their standard deviation, 1 where they are constant.
        weight: (F, K).
        bias: (K,).
    """

    latent_shape: tuple[int, ...]
    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    def predict(self, latents: np.ndarray) -> np.ndarray:
        """Gives targets (..., K) of latents (..., P, D) or (..., F)."""
        leading = latents.ndim - len(self.latent_shape)
        if leading < 0 or latents.shape[leading:] != self.latent_shape:
            raise WorldModelError(
                f"latents must end in {self.latent_shape}, got {latents.shape}"
            )
        features = latents.reshape(*latents.shape[:leading], -1).astype(np.float64)
        return (features - self.mean) / self.scale @ self.weight + self.bias


def fit_probe(
    latents: np.ndarray, targets: np.ndarray, strength: float = 1e-3
) -> Probe:
    """Fits a ridge regression in closed form.

    Args:
        latents: (N, F) or (N, P, D).
        targets: (N, K), e.g. positions [m].
        strength: Ridge penalty per row on standardised features.

    Raises:
        WorldModelError: The rows do not match, or something is not finite.
    """
    features = latents.reshape(len(latents), -1).astype(np.float64)
    if targets.ndim != 2 or len(targets) != len(features) or len(features) < 2:
        raise WorldModelError(
            f"targets must be (N, K) for N={len(features)} >= 2 latents, got "
            f"{targets.shape}"
        )
    if strength <= 0:
        raise WorldModelError(f"strength must be positive, got {strength}")
    if not (np.isfinite(features).all() and np.isfinite(targets).all()):
        raise WorldModelError("a probe needs finite latents and targets, got NaN")
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    x = (features - mean) / scale
    bias = targets.mean(axis=0)
    gram = x.T @ x
    gram[np.diag_indices_from(gram)] += strength * len(x)
    weight = np.linalg.solve(gram, x.T @ (targets - bias))
    return Probe(latents.shape[1:], mean, scale, weight, bias)


def rmse_cm(predicted_m: np.ndarray, true_m: np.ndarray) -> float:
    """Gives the root mean square of the distance between positions, in [cm].

    Args:
        predicted_m: (..., K) positions [m].
        true_m: (..., K) positions [m].
    """
    squares = ((predicted_m - true_m) ** 2).sum(axis=-1)
    return float(_CM_PER_M * np.sqrt(squares.mean()))


def axis_rmse_cm(predicted_m: np.ndarray, true_m: np.ndarray) -> np.ndarray:
    """Gives the root mean square error of each coordinate (K,) in [cm]."""
    squares = (predicted_m - true_m) ** 2
    return _CM_PER_M * np.sqrt(squares.reshape(-1, squares.shape[-1]).mean(axis=0))


def yaw_targets(yaw: np.ndarray, symmetry: int = 1) -> np.ndarray:
    """Gives what a linear probe can learn of an angle: sine and cosine (N, 2).

    Args:
        yaw: (N,) angles [rad].
        symmetry: Turns that look alike: 1 for coloured faces, 4 for a plain cube.
    """
    return np.stack([np.sin(symmetry * yaw), np.cos(symmetry * yaw)], axis=-1)


def yaw_rmse_deg(predicted: np.ndarray, yaw: np.ndarray, symmetry: int = 1) -> float:
    """Gives the root mean square error of an angle in [deg].

    Args:
        predicted: (N, 2) predicted sines and cosines, of any length.
        yaw: (N,) true angles [rad].
        symmetry: As in `yaw_targets`.
    """
    turned = np.arctan2(predicted[..., 0], predicted[..., 1])
    error = turned - symmetry * yaw
    wrapped = np.arctan2(np.sin(error), np.cos(error)) / symmetry
    return float(np.degrees(np.sqrt((wrapped**2).mean())))


def r_squared(predicted: np.ndarray, true: np.ndarray) -> float:
    """Gives the share of the variance that a probe explains, over all targets."""
    unexplained = ((predicted - true) ** 2).sum()
    total = ((true - true.mean(axis=0)) ** 2).sum()
    return float(1.0 - unexplained / total)
