"""Tensors that users hand in: shapes that fit, numbers that are numbers.

Values are read on a CPU alone: on a GPU the reader would have to wait for it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from worldmodel.errors import WorldModelError


def require_tensor(name: str, value: object, wanted: str) -> None:
    """Raises WorldModelError unless something is a floating point tensor."""
    if not isinstance(value, Tensor):
        raise WorldModelError(
            f"{name} must be a torch tensor {wanted}, got {type(value).__name__}"
        )
    if not value.is_floating_point():
        raise WorldModelError(
            f"{name} must be floating point {wanted}, got {value.dtype}"
        )


def require_finite(name: str, value: Tensor) -> None:
    """Raises WorldModelError where a tensor on a CPU holds NaN or infinity."""
    if value.device.type != "cpu":
        return
    finite = value.isfinite()
    if not _all(finite):
        place = tuple(int(n) for n in (~finite).nonzero()[0])
        raise WorldModelError(
            f"{name} must be finite numbers, got {float(value[place])} at {place} of "
            f"{tuple(value.shape)}"
        )


def _all(finite: Tensor) -> bool:
    """Whether all are; here a value is read."""
    return bool(finite.all())


def require_shape(name: str, value: Tensor, wanted: tuple[int, ...], axes: str) -> None:
    """Raises WorldModelError unless a tensor has a shape, whose axes are so called."""
    if tuple(value.shape) != wanted:
        raise WorldModelError(
            f"{name} must be {axes} = {wanted}, got {tuple(value.shape)}"
        )


def require_latents(latents: Tensor, dim: int) -> None:
    """Raises WorldModelError unless these are latents (B, P = 1, D) of one moment."""
    require_tensor("latents", latents, "(B, P, D)")
    batch = latents.shape[0] if latents.dim() else 0
    if not batch:
        raise WorldModelError(
            f"latents must be (B >= 1, P, D), got {tuple(latents.shape)}"
        )
    require_shape("latents", latents, (batch, 1, dim), "(B, P, D)")
    require_finite("latents", latents)


def require_proprio(proprio: Tensor, batch: int, size: int, least: int) -> None:
    """Raises WorldModelError unless this is proprio (B, S) of one moment.

    Args:
        proprio: what was measured.
        batch: problems B.
        size: dimensions S that it must have; 0 where nothing says it.
        least: dimensions that it must have at least.
    """
    require_tensor("proprio", proprio, "(B, S)")
    width = proprio.shape[-1] if proprio.dim() else 0
    if width < least:
        raise WorldModelError(
            f"proprio must have at least the {least} dimensions that the model was "
            f"trained with, got {width}"
        )
    require_shape("proprio", proprio, (batch, size or width), "(B, S)")
    require_finite("proprio", proprio)


def require_past(
    latents: Tensor, actions: Tensor, proprio: Tensor | None, size: int, least: int
) -> None:
    """Raises WorldModelError unless a film's latents, actions and proprio are numbers.

    Args:
        latents: (B, T, P, D).
        actions: (B, T - 1, A).
        proprio: (B, T, S), or None.
        size: see `require_proprio`.
        least: see `require_proprio`.
    """
    for name, value in (("latents", latents), ("actions", actions)):
        require_tensor(name, value, "(B, T, ...)")
        require_finite(name, value)
    if proprio is None:
        return
    require_tensor("proprio", proprio, "(B, T, S)")
    batch, time = latents.shape[:2]
    if proprio.dim() != 3 or proprio.shape[:2] != (batch, time):
        raise WorldModelError(
            f"proprio must be (B={batch}, T={time}, S), got {tuple(proprio.shape)}"
        )
    require_proprio(proprio.flatten(0, 1), batch * time, size, least)


def require_goal(goal: Tensor, wanted: tuple[int, ...]) -> None:
    """Raises WorldModelError unless this is a goal (B, P, D) of that shape."""
    require_tensor("goal", goal, "(B, P, D)")
    if goal.shape != wanted:
        raise WorldModelError(
            f"goal must be (B, P, D)={wanted}, got {tuple(goal.shape)}"
        )
    require_finite("goal", goal)


def require_sequences(actions: Tensor, batch: int | None) -> None:
    """Raises WorldModelError unless these are (B, N, H, A), of so many problems B."""
    if not isinstance(actions, Tensor):
        got: object = type(actions).__name__
    elif actions.dim() == 4 and batch in (None, len(actions)):
        return
    else:
        got = tuple(actions.shape)
    problems = "B" if batch is None else f"B={batch}"
    raise WorldModelError(f"actions must be ({problems}, N, H, A), got {got}")


def require_candidates(actions: Tensor, batch: int, size: int) -> None:
    """Raises WorldModelError unless these are candidates (B, N, H, A)."""
    if not isinstance(actions, Tensor):
        got: object = type(actions).__name__
    elif actions.dim() == 4 and (len(actions), actions.shape[-1]) == (batch, size):
        return
    else:
        got = tuple(actions.shape)
    raise WorldModelError(f"actions must be (B={batch}, N, H, A={size}), got {got}")


def require_action(action: Tensor, batch: int, size: int) -> None:
    """Raises WorldModelError unless this is an action (B, A)."""
    require_tensor("action", action, "(B, A)")
    require_shape("action", action, (batch, size), "(B, A)")
    require_finite("action", action)


def require_film_actions(actions: Tensor, frames: tuple[int, ...], size: int) -> None:
    """Raises unless these are the actions (B, T - 1, A) between frames (B, T, ...)."""
    require_tensor("actions", actions, "(B, T - 1, A)")
    wanted = (frames[0], frames[1] - 1, size)
    if frames[1] < 2 or actions.shape != wanted:
        raise ValueError(
            f"actions must be (B, T - 1 >= 1, A)={wanted}, got {tuple(actions.shape)}"
        )
    require_finite("actions", actions)


def asks_for_gradient(given: Tensor) -> bool:
    """Whether what is computed from a tensor is to be differentiated in it."""
    return given.requires_grad and torch.is_grad_enabled()
