"""The distance to the goal over the steps of an episode, as a small picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from worldmodel.evaluation.film_frame import FAINT, GREEN, GREY, GROUND, TEXT, font

_LEFT, _RIGHT, _TOP, _BOTTOM = 30, 10, 10, 20
_DASH = 5


def distance_curve(
    distances_cm: Sequence[float],
    radius_cm: float,
    budget: int,
    reached: int | None,
    side: int,
    most_cm: float,
) -> np.ndarray:
    """Draws the distances of the steps so far.

    Args:
        distances_cm: Before the first step and after each [cm].
        radius_cm: Distance within which the task is solved [cm].
        budget: Steps of an episode.
        reached: Step at which it was solved first, None where not yet.
        side: Side of the picture [px].
        most_cm: Top of the axis [cm].

    Returns:
        uint8 (side, side, 3).
    """
    canvas = Image.new("RGB", (side, side), GROUND)
    draw = ImageDraw.Draw(canvas)
    wide, high = side - _LEFT - _RIGHT, side - _TOP - _BOTTOM

    def at(step: float, cm: float) -> tuple[float, float]:
        share = min(cm / most_cm, 1.0)
        return _LEFT + wide * step / budget, _TOP + high * (1 - share)

    letters = font(12)
    draw.line([at(0, most_cm), at(0, 0), at(budget, 0)], GREY)
    draw.text((_LEFT - 5, _TOP + high), "0", FAINT, letters, anchor="rm")
    top = f"{most_cm:.0f}"
    draw.text((_LEFT - 5, _TOP + 4), top, FAINT, letters, anchor="rm")
    draw.text((_LEFT - 5, _TOP + 20), "cm", FAINT, letters, anchor="rm")
    draw.text((_LEFT, side - 9), "step 0", FAINT, letters, anchor="lm")
    draw.text((side - _RIGHT, side - 9), str(budget), FAINT, letters, anchor="rm")
    _dashes(draw, at(0, radius_cm), at(budget, radius_cm))
    if reached is not None:
        draw.line([at(reached, 0), at(reached, most_cm)], GREEN)
        anchor = "lm" if reached < budget * 0.6 else "rm"
        x = at(reached, 0)[0] + (4 if anchor == "lm" else -4)
        draw.text((x, _TOP + 6), f"first at {reached}", GREEN, letters, anchor=anchor)
    points = [at(step, cm) for step, cm in enumerate(distances_cm)]
    if len(points) > 1:
        draw.line(points, TEXT, width=2, joint="curve")
    x, y = points[-1]
    colour = GREEN if distances_cm[-1] <= radius_cm else TEXT
    draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour)
    return np.asarray(canvas)


def _dashes(
    draw: ImageDraw.ImageDraw, start: tuple[float, float], end: tuple[float, float]
) -> None:
    x = start[0]
    while x < end[0]:
        draw.line([(x, start[1]), (min(x + _DASH, end[0]), start[1])], GREEN)
        x += 2 * _DASH
