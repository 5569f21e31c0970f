"""Where PushT's T lies in a picture: for datasets that record no state of it."""

from __future__ import annotations

import numpy as np

WORLD = 512.0  # [px] that a picture covers, whatever its own size
_GREY, _BLUE = (119, 136, 153), (65, 105, 225)  # T, pointer
_OTHERS = ((255, 255, 255), (144, 238, 144), (211, 211, 211))  # table, goal, wall
_WALL = 12.0  # [px]: what is nearer to the edge may be the wall
# The T in its own coordinates [px]: middle and half sides of bar and stem.
_PARTS = (((0.0, 15.0), (60.0, 15.0)), ((0.0, 75.0), (15.0, 45.0)))
_MIDDLE = np.array([0.0, (3600 * 15.0 + 2700 * 75.0) / 6300])  # of its area
_LEAST = 0.6  # of what is grey and what the T covers, that both have in common
_ANGLES = 72
_STEPS = ((8.0, 0.1), (3.0, 0.04), (1.0, 0.015), (0.3, 0.005))  # [px], [rad]


def read_block(picture: np.ndarray) -> np.ndarray:
    """Gives x, y [px] and angle [rad] of the T, as the env has them.

    Args:
        picture: uint8 (height, width, 3), of the whole table.

    Raises:
        ValueError: No T is to be seen.
    """
    cells, grey = _cells(picture), _nearest(picture) == 0
    middle = cells[grey & _inside(cells)]
    if not len(middle):
        raise ValueError("no T is to be seen in the picture")
    around = middle.mean(axis=0)
    angles = np.arange(_ANGLES) * 2 * np.pi / _ANGLES
    poses = [np.array([*(around - _turn(a) @ _MIDDLE), a]) for a in angles]
    best = max(poses, key=lambda pose: _overlap(pose, cells, grey))
    for step_px, step_rad in _STEPS:
        best = _climbed(best, np.array([step_px, step_px, step_rad]), cells, grey)
    if _overlap(best, cells, grey) < _LEAST:
        raise ValueError("no whole T is to be seen in the picture")
    return best


def read_pointer(picture: np.ndarray) -> np.ndarray:
    """Gives x, y [px] of the pointer.

    Raises:
        ValueError: It is not to be seen.
    """
    found = _cells(picture)[_nearest(picture) == 1]
    if not len(found):
        raise ValueError("no pointer is to be seen in the picture")
    return found.mean(axis=0)


def _climbed(
    pose: np.ndarray, steps: np.ndarray, cells: np.ndarray, grey: np.ndarray
) -> np.ndarray:
    """The best pose that single steps lead to, each better than the one before."""
    value = _overlap(pose, cells, grey)
    while True:
        moves = [sign * steps * axis for axis in np.eye(3) for sign in (-1, 1)]
        near = [pose + move for move in moves]
        values = [_overlap(some, cells, grey) for some in near]
        if max(values) <= value:
            return pose
        value = max(values)
        pose = near[values.index(value)]


def _overlap(pose: np.ndarray, cells: np.ndarray, grey: np.ndarray) -> float:
    """What is grey and what the T would cover have in common, of both together."""
    local = (cells - pose[:2]) @ _turn(pose[2])  # into the T's own coordinates
    half = WORLD / cells.shape[0] / 2
    cover = np.zeros(cells.shape[:2])
    for middle, sides in _PARTS:
        deep = np.asarray(sides) - np.abs(local - middle)  # [px] inside of each edge
        share = np.clip(deep / (2 * half) + 0.5, 0, 1).prod(axis=-1)
        cover = np.maximum(cover, share)
    common = np.minimum(cover, grey).sum()
    return float(common / np.maximum(cover, grey).sum())


def _turn(angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def _cells(picture: np.ndarray) -> np.ndarray:
    """Where the middles of pixels are, x and y [px], (height, width, 2)."""
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[:height, :width] + 0.5
    return np.stack([columns * WORLD / width, rows * WORLD / height], axis=-1)


def _inside(cells: np.ndarray) -> np.ndarray:
    inside = (cells > _WALL) & (cells < WORLD - _WALL)  # (height, width, 2)
    return inside[..., 0] & inside[..., 1]


def _nearest(picture: np.ndarray) -> np.ndarray:
    """The colour that each pixel is nearest to: 0 grey, 1 blue, else others."""
    colours = np.array([_GREY, _BLUE, *_OTHERS], float)
    gaps = np.linalg.norm(picture[:, :, None].astype(float) - colours, axis=-1)
    return gaps.argmin(axis=-1)
