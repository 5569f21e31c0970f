"""The layout of a film: a large view, small pictures with captions, texts, a curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from worldmodel.errors import WorldModelError

Colour = tuple[int, int, int]

BACKGROUND: Colour = (20, 22, 27)
GROUND: Colour = (34, 37, 44)
TEXT: Colour = (236, 238, 242)
FAINT: Colour = (160, 166, 176)
GREEN: Colour = (70, 200, 120)
RED: Colour = (232, 88, 80)
GREY: Colour = (92, 98, 110)

_MARGIN = 12
_GAP = 10
_HEADER = 40
_FOOTER = 34
_CAPTION = 36
_COLUMNS = 2


@dataclass(frozen=True, eq=False)
class Panel:
    """A small picture.

    Attributes:
        image: uint8 (height, width, 3), enlarged with sharp pixels.
        caption: What it shows.
        note: A second line, fainter.
    """

    image: np.ndarray
    caption: str
    note: str = ""


@dataclass(frozen=True, eq=False)
class FilmFrame:
    """One picture of a film.

    Attributes:
        title: What is going on, e.g. "Push, problem 3".
        outcome: How it stands, e.g. "not yet".
        colour: Of the outcome.
        facts: Texts below, side by side.
        view: uint8 (`view_side(side)`, the same, 3), None to leave it out.
        panels: Small pictures, from the left, two to a row.
        framed: Whether the view gets a frame in the outcome's colour.
    """

    title: str
    outcome: str
    colour: Colour
    facts: Sequence[str]
    view: np.ndarray | None
    panels: Sequence[Panel]
    framed: bool = False


def view_side(side: int) -> int:
    """Side of the large view [px] beside two rows of small pictures."""
    return 2 * (side + _CAPTION) + _GAP


def draw_frame(frame: FilmFrame, side: int) -> np.ndarray:
    """Draws a picture of a film.

    Args:
        frame: What to draw.
        side: Side of a small picture [px].

    Returns:
        uint8 (h, w, 3) with even sides.
    """
    if not frame.panels:
        raise WorldModelError("a frame needs at least 1 panel, got 0")
    large, rows = view_side(side), math.ceil(len(frame.panels) / _COLUMNS)
    height = max(rows * (side + _CAPTION + _GAP) - _GAP, large if _has(frame) else 0)
    left = _MARGIN + (large + _GAP if _has(frame) else 0)
    width = left + _COLUMNS * (side + _GAP) - _GAP + _MARGIN
    whole = (width + width % 2, _HEADER + height + height % 2 + _FOOTER)
    canvas = Image.new("RGB", whole, BACKGROUND)
    _draw_header(canvas, frame)
    if frame.view is not None:
        _draw_view(canvas, frame, frame.view, large)
    for place, panel in enumerate(frame.panels):
        row, column = divmod(place, _COLUMNS)
        at = (left + column * (side + _GAP), _HEADER + row * (side + _CAPTION + _GAP))
        _draw_panel(canvas, panel, at, side)
    _draw_facts(canvas, frame.facts, _HEADER + height)
    return np.asarray(canvas)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of films [px]."""
    return ImageFont.load_default(size=size)


def _has(frame: FilmFrame) -> bool:
    return frame.view is not None


def _draw_header(canvas: Image.Image, frame: FilmFrame) -> None:
    draw = ImageDraw.Draw(canvas)
    middle = _HEADER // 2
    draw.text((_MARGIN, middle), frame.title, TEXT, font(20), anchor="lm")
    badge = font(16)
    right = canvas.width - _MARGIN
    wide = draw.textlength(frame.outcome, font=badge)
    box = (right - wide - 24, middle - 13, right, middle + 13)
    draw.rounded_rectangle(box, 13, fill=frame.colour)
    text = BACKGROUND if sum(frame.colour) > sum(GREY) + 30 else TEXT
    draw.text((right - 12 - wide, middle), frame.outcome, text, badge, anchor="lm")


def _draw_view(
    canvas: Image.Image, frame: FilmFrame, view: np.ndarray, side: int
) -> None:
    picture = Image.fromarray(view)
    if picture.size != (side, side):
        picture = picture.resize((side, side), Image.Resampling.LANCZOS)
    canvas.paste(picture, (_MARGIN, _HEADER))
    if frame.framed:
        box = (_MARGIN, _HEADER, _MARGIN + side - 1, _HEADER + side - 1)
        ImageDraw.Draw(canvas).rectangle(box, outline=frame.colour, width=5)


def _draw_panel(
    canvas: Image.Image, panel: Panel, at: tuple[int, int], side: int
) -> None:
    draw = ImageDraw.Draw(canvas)
    left, top = at
    draw.text((left, top + 9), panel.caption, TEXT, font(14), anchor="lm")
    draw.text((left, top + 25), panel.note, FAINT, font(13), anchor="lm")
    picture = Image.fromarray(panel.image).resize(
        (side, side), Image.Resampling.NEAREST
    )
    canvas.paste(picture, (left, top + _CAPTION))


def _draw_facts(canvas: Image.Image, facts: Sequence[str], top: int) -> None:
    draw = ImageDraw.Draw(canvas)
    middle, letters = top + _FOOTER // 2, font(16)
    left = float(_MARGIN)
    for fact in facts:
        draw.text((left, middle), fact, TEXT, letters, anchor="lm")
        left += draw.textlength(fact, font=letters) + 28
