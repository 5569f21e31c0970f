"""Probes: read physical quantities out of latents, in centimetres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
    features = _checked(latents, targets)
    if strength <= 0:
        raise WorldModelError(f"strength must be positive, got {strength}")
    mean, scale = _mean_and_scale(features)
    x = (features - mean) / scale
    bias = targets.mean(axis=0)
    gram = x.T @ x
    gram[np.diag_indices_from(gram)] += strength * len(x)
    weight = np.linalg.solve(gram, x.T @ (targets - bias))
    return Probe(latents.shape[1:], mean, scale, weight, bias)


@dataclass(frozen=True, eq=False)
class NetworkProbe:
    """A small network from flattened latents to targets.

    Attributes:
        mean: (F,) mean of the features it was fitted on.
        scale: (F,) their standard deviation, 1 where they are constant.
        network: standardised features (N, F) to standardised targets (N, K).
        bias: (K,) mean of the targets.
        spread: (K,) their standard deviation.
    """

    mean: np.ndarray
    scale: np.ndarray
    network: nn.Module
    bias: np.ndarray
    spread: np.ndarray

    @torch.no_grad()
    def predict(self, latents: np.ndarray) -> np.ndarray:
        """Gives targets (N, K) of latents (N, F) or (N, P, D)."""
        features = latents.reshape(len(latents), -1).astype(np.float64)
        x = torch.from_numpy((features - self.mean) / self.scale).float()
        return self.network(x).double().numpy() * self.spread + self.bias


def fit_network_probe(
    latents: np.ndarray,
    targets: np.ndarray,
    hidden: int = 256,
    steps: int = 2000,
    seed: int = 0,
) -> NetworkProbe:
    """Fits a network of two hidden layers, AdamW on batches of 256, cosine to zero.

    Args:
        latents: (N, F) or (N, P, D).
        targets: (N, K), e.g. positions [m].
        hidden: Width of the hidden layers.
        steps: Of the optimiser.
        seed: Decides weights and batches.

    Raises:
        WorldModelError: The rows do not match, or something is not finite.
    """
    features = _checked(latents, targets)
    (mean, scale), (bias, spread) = _mean_and_scale(features), _mean_and_scale(targets)
    x = torch.from_numpy((features - mean) / scale).float()
    y = torch.from_numpy((targets - bias) / spread).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            *(nn.Linear(x.shape[1], hidden), nn.GELU()),
            *(nn.Linear(hidden, hidden), nn.GELU()),
            nn.Linear(hidden, y.shape[1]),
        )
    _fit(network, x, y, steps, torch.Generator().manual_seed(seed))
    return NetworkProbe(mean, scale, network.requires_grad_(False), bias, spread)


def _fit(
    network: nn.Module, x: Tensor, y: Tensor, steps: int, generator: torch.Generator
) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        rows = torch.randint(len(x), (min(256, len(x)),), generator=generator)
        optimizer.zero_grad()
        F.smooth_l1_loss(network(x[rows]), y[rows], beta=0.5).backward()
        optimizer.step()
        schedule.step()


def _checked(latents: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Features float64 (N, F) of latents that a probe can be fitted on."""
    features = latents.reshape(len(latents), -1).astype(np.float64)
    if targets.ndim != 2 or len(targets) != len(features) or len(features) < 2:
        raise WorldModelError(
            f"targets must be (N, K) for N={len(features)} >= 2 latents, got "
            f"{targets.shape}"
        )
    if not (np.isfinite(features).all() and np.isfinite(targets).all()):
        raise WorldModelError("a probe needs finite latents and targets, got NaN")
    return features


def _mean_and_scale(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column, 1 where it is constant."""
    spread = values.std(axis=0)
    return values.mean(axis=0), np.where(spread > 0, spread, 1.0)


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
