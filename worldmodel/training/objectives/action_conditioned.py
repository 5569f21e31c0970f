"""What actions do to latents: the errors of a predictor and of inverse dynamics."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.predictors.action_predictor import ActionPredictor


def draw_known(
    predictor: ActionPredictor, moments: int, generator: torch.Generator
) -> int:
    """Draws how many latents of a window are known before a roll-out.

    As many as planning may know, and at least one is left to be imagined.
    """
    most = min(predictor.spec.window, moments - 1)
    return int(torch.randint(1, most + 1, (), generator=generator))


def prediction_error(
    predictor: ActionPredictor, latents: Tensor, actions: Tensor, known: int
) -> Tensor:
    """Mean square by which later latents differ from what was predicted.

    Half of it for one step from true latents (teacher forcing), half for roll-outs
    from the first ones.

    Args:
        predictor: imagines.
        latents: (B, T, D).
        actions: (B, T, A), the action taken at each.
        known: latents that a roll-out knows, see `draw_known`.
    """
    forced = forced_change(predictor, latents, actions)
    rolled = rolled_change(predictor, latents, actions, known)
    return 0.5 * (forced.square().mean() + rolled.square().mean())


def forced_change(
    predictor: ActionPredictor, latents: Tensor, actions: Tensor
) -> Tensor:
    """What the next latents differ by from those predicted from true ones.

    Args:
        predictor: imagines.
        latents: (B, T, D).
        actions: (B, T, A).

    Returns:
        (B, T - 1, D).
    """
    return predictor(latents[:, :-1], actions[:, :-1]) - latents[:, 1:]


def rolled_change(
    predictor: ActionPredictor, latents: Tensor, actions: Tensor, known: int
) -> Tensor:
    """As `forced_change`, all later latents rolled out from the first `known`.

    Returns:
        (B, T - known, D).
    """
    past, taken = latents[:, :known], actions[:, : known - 1]
    future = predictor.rollout(past, taken, actions[:, None, known - 1 : -1])
    return future[:, 0] - latents[:, known:]


def inverse_error(inverse: nn.Linear, latents: Tensor, actions: Tensor) -> Tensor:
    """Error of the summed motion between any two moments, averaged over lags."""
    before = actions.cumsum(dim=1) - actions  # commanded until each moment
    errors = []
    for lag in range(1, latents.shape[1]):
        found = inverse(latents[:, lag:] - latents[:, :-lag])
        errors.append(F.mse_loss(found, before[:, lag:] - before[:, :-lag]))
    return torch.stack(errors).mean()
