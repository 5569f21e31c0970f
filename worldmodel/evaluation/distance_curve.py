"""The distance to the goal over the steps of an episode, as a small picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from worldmodel.evaluation.film_frame import FAINT, GREEN, GREY, GROUND, TEXT, font

_LEFT, _RIGHT, _TOP, _BOTTOM = 30, 10, 10, 20
_DASH = 5


def distance_curve(
    distances: Sequence[float],
    radius: float,
    budget: int,
    reached: int | None,
    side: int,
    most: tuple[float, str],
) -> np.ndarray:
    """Draws the distances of the steps so far.

    Args:
        distances: Before the first step and after each.
        radius: Distance within which the task is solved.
        budget: Steps of an episode.
        reached: Step at which it was solved first, None where not yet.
        side: Side of the picture [px].
        most: Top of the axis, and the unit of all of these.

    Returns:
        uint8 (side, side, 3).
    """
    canvas = Image.new("RGB", (side, side), GROUND)
    draw = ImageDraw.Draw(canvas)
    top_value, unit = most
    wide, high = side - _LEFT - _RIGHT, side - _TOP - _BOTTOM

    def at(step: float, distance: float) -> tuple[float, float]:
        share = min(distance / top_value, 1.0)
        return _LEFT + wide * step / budget, _TOP + high * (1 - share)

    letters = font(12)
    draw.line([at(0, top_value), at(0, 0), at(budget, 0)], GREY)
    draw.text((_LEFT - 5, _TOP + high), "0", FAINT, letters, anchor="rm")
    top = f"{top_value:.0f}" if top_value >= 2 else f"{top_value:.2g}"
    draw.text((_LEFT - 5, _TOP + 4), top, FAINT, letters, anchor="rm")
    draw.text((_LEFT - 5, _TOP + 20), unit, FAINT, letters, anchor="rm")
    draw.text((_LEFT, side - 9), "step 0", FAINT, letters, anchor="lm")
    draw.text((side - _RIGHT, side - 9), str(budget), FAINT, letters, anchor="rm")
    _dashes(draw, at(0, radius), at(budget, radius))
    if reached is not None:
        draw.line([at(reached, 0), at(reached, top_value)], GREEN)
        anchor = "lm" if reached < budget * 0.6 else "rm"
        x = at(reached, 0)[0] + (4 if anchor == "lm" else -4)
        draw.text((x, _TOP + 6), f"first at {reached}", GREEN, letters, anchor=anchor)
    points = [at(step, distance) for step, distance in enumerate(distances)]
    if len(points) > 1:
        draw.line(points, TEXT, width=2, joint="curve")
    x, y = points[-1]
    colour = GREEN if distances[-1] <= radius else TEXT
    draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour)
    return np.asarray(canvas)


def _dashes(
    draw: ImageDraw.ImageDraw, start: tuple[float, float], end: tuple[float, float]
) -> None:
    x = start[0]
    while x < end[0]:
        draw.line([(x, start[1]), (min(x + _DASH, end[0]), start[1])], GREEN)
        x += 2 * _DASH
