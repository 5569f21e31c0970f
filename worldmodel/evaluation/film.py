"""Watches chosen episodes and draws them: where it is, what it wants and imagines."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.evaluation.distance_curve import distance_curve
from worldmodel.evaluation.film_frame import (
    GREEN,
    GREY,
    RED,
    Colour,
    FilmFrame,
    Panel,
    draw_frame,
    view_side,
)
from worldmodel.evaluation.film_subject import Subject, View
from worldmodel.evaluation.frame_bank import FrameBank
from worldmodel.evaluation.runner import Moment

_HOLD_LAST_FRAMES = 8


@dataclass(frozen=True, eq=False)
class _Shot:
    """What was there at one step of one problem."""

    step: int
    pixels: np.ndarray
    state: np.ndarray
    distance: float
    solved: bool
    cost: float | None
    future: Panel | None


@dataclass(eq=False)
class _Reel:
    """The shots of one problem."""

    goal: np.ndarray
    goal_image: np.ndarray
    shots: list[_Shot] = field(default_factory=list)


@dataclass
class Film:
    """A watcher for `run` that keeps what chosen problems looked like.

    Nothing is drawn before `frames` asks for it: films that nobody wants cost nothing,
    and the camera for people is open only while one is drawn.

    Attributes:
        indices: Places of the problems to film.
        subject: What they are about.
        bank: Real frames: the one whose latent is nearest to the end of the plan stands
            for the imagined future, and is called so. None leaves that panel out.
        side: Side of a small picture [px].
    """

    indices: Collection[int]
    subject: Subject
    bank: FrameBank | None = None
    side: int = 192
    _reels: dict[int, _Reel] = field(default_factory=dict, init=False)

    def __call__(self, moment: Moment) -> None:
        """Keeps one shot of every filmed problem in the group."""
        rows = [r for r, i in enumerate(moment.indices) if int(i) in self.indices]
        futures = self._imagine(moment, rows)
        for row in rows:
            index = int(moment.indices[row])
            fresh = _Reel(moment.goals[row], moment.goal_images[row])
            shots = self._reels.setdefault(index, fresh).shots
            last = shots[-1] if shots else None
            cost = _cost(moment, row)
            shots.append(
                _Shot(
                    step=moment.step,
                    pixels=moment.pixels[row],
                    state=moment.states[row].copy(),
                    distance=float(moment.distances[row]),
                    solved=bool(moment.solved[row]),
                    cost=last.cost if cost is None and last else cost,
                    future=futures.get(row, last.future if last else None),
                )
            )

    def frames(self, index: int) -> list[np.ndarray]:
        """Draws the pictures of one filmed problem, the last one held for a while.

        Raises:
            WorldModelError: The problem was not filmed; the filmed ones are listed.
        """
        if index not in self._reels:
            raise WorldModelError(
                f"problem {index} was not filmed; filmed: {sorted(self._reels)}"
            )
        reel, subject = self._reels[index], self.subject
        opened: AbstractContextManager[View | None] = nullcontext(None)
        if subject.open_view is not None:
            opened = subject.open_view(reel.goal, view_side(self.side))
        with opened as view:
            drawn = [
                draw_frame(self._frame(index, reel, place, view), self.side)
                for place in range(len(reel.shots))
            ]
        return drawn + [drawn[-1]] * _HOLD_LAST_FRAMES

    def _imagine(self, moment: Moment, rows: list[int]) -> dict[int, Panel]:
        decision = moment.decision
        if not rows or self.bank is None or decision is None or not decision.imagine:
            return {}
        latents = decision.imagine()[rows]  # (K, H, P, D)
        ahead = latents.shape[1]
        caption = f"imagined, {ahead} step{'s' if ahead > 1 else ''} ahead:"
        note = f"nearest of {len(self.bank.frames)} real frames"
        found = self.bank.nearest(latents[:, -1])
        return {
            row: Panel(frame, caption, note)
            for row, frame in zip(rows, found, strict=True)
        }

    def _frame(
        self, index: int, reel: _Reel, place: int, view: View | None
    ) -> FilmFrame:
        shots = reel.shots[: place + 1]
        shot, subject = shots[-1], self.subject
        height, width = shot.pixels.shape[:2]
        panels = [
            Panel(shot.pixels, "what the model sees", f"{width} x {height} pixels"),
            Panel(reel.goal_image, "goal", "picture given to the model"),
        ]
        if shot.future is not None:
            panels.append(shot.future)
        if subject.radius is not None:
            curve = self._curve(shots, max(s.distance for s in reel.shots))
            within = f"solved within {subject.shown(subject.radius)}, at the end"
            panels.append(Panel(curve, "distance to the goal", within))
        outcome, colour = _outcome(shots, subject)
        return FilmFrame(
            title=f"{subject.task}, problem {index}",
            outcome=outcome,
            colour=colour,
            facts=_facts(shot, subject),
            view=None if view is None else view(shot.state),
            panels=panels,
            framed=shot.step == subject.budget or colour == GREEN,
        )

    def _curve(self, shots: list[_Shot], most: float) -> np.ndarray:
        assert self.subject.radius is not None
        scale = self.subject.per_unit
        radius = scale * self.subject.radius
        return distance_curve(
            [scale * shot.distance for shot in shots],
            radius=radius,
            budget=self.subject.budget,
            reached=_reached(shots),
            side=self.side,
            most=(max(1.1 * scale * most, 2 * radius), self.subject.unit),
        )


def _cost(moment: Moment, row: int) -> float | None:
    if moment.decision is None or not np.isfinite(moment.decision.cost[row]):
        return None
    return float(moment.decision.cost[row])


def _reached(shots: list[_Shot]) -> int | None:
    """Step at which the goal was reached first."""
    return next((shot.step for shot in shots if shot.solved), None)


def _outcome(shots: list[_Shot], subject: Subject) -> tuple[str, Colour]:
    """How it stands at the last of these shots, and a colour for it."""
    shot, reached = shots[-1], _reached(shots)
    is_over = shot.step == subject.budget
    if subject.radius is None:
        return ("over" if is_over else "under way"), GREY
    if shot.solved:
        since = next(s.step for s in reversed(shots) if not s.solved) + 1
        return (f"{'solved' if is_over else 'at the goal'} since step {since}"), GREEN
    if is_over:
        was = "" if reached is None else f", was there at step {reached}"
        return f"failed at the end{was}", RED
    if reached is not None:
        return f"left again, was there at step {reached}", GREY
    return "not yet", GREY


def _facts(shot: _Shot, subject: Subject) -> list[str]:
    facts = [f"step {shot.step} of {subject.budget}"]
    if subject.radius is not None:
        facts.append(
            f"distance to the goal {subject.shown(shot.distance)} "
            f"(success: {subject.shown(subject.radius)})"
        )
    if shot.cost is not None:
        facts.append(f"planned cost {shot.cost:.3g}")
    return facts
