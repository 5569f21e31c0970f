"""Watches chosen episodes: now, goal and the imagined future, frame by frame."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.evaluation.frame_bank import FrameBank
from worldmodel.evaluation.runner import Moment
from worldmodel.evaluation.video import panels

_HOLD_LAST_FRAMES = 5


@dataclass
class Film:
    """A watcher for `run` that keeps the panels of chosen problems.

    The imagined future is shown as the real frame of the bank whose latent is nearest
    to the end of the plan.

    Attributes:
        indices: Places of the problems to film.
        bank: Real frames, None to leave the third panel out.
        side: Height of a panel [px].
    """

    indices: Collection[int]
    bank: FrameBank | None = None
    side: int = 192
    _frames: dict[int, list[np.ndarray]] = field(default_factory=dict, init=False)
    _futures: dict[int, np.ndarray] = field(default_factory=dict, init=False)

    def __call__(self, moment: Moment) -> None:
        """Takes one picture of every filmed problem in the group."""
        rows = [r for r, i in enumerate(moment.indices) if int(i) in self.indices]
        if rows:
            self._imagine(moment, rows)
        for row in rows:
            index = int(moment.indices[row])
            images = [moment.pixels[row], moment.goal_images[row]]
            captions = ["now", "goal"]
            if index in self._futures:
                images.append(self._futures[index])
                captions.append("imagined")
            footer = f"problem {index}, step {moment.step}"
            picture = panels(images, captions, footer, self.side)
            self._frames.setdefault(index, []).append(picture)

    def frames(self, index: int) -> list[np.ndarray]:
        """Gives the pictures of one filmed problem, the last one held for a second.

        Raises:
            WorldModelError: The problem was not filmed; the filmed ones are listed.
        """
        if index not in self._frames:
            raise WorldModelError(
                f"problem {index} was not filmed; filmed: {sorted(self._frames)}"
            )
        taken = self._frames[index]
        return taken + [taken[-1]] * _HOLD_LAST_FRAMES

    def _imagine(self, moment: Moment, rows: list[int]) -> None:
        decision = moment.decision
        if self.bank is None or decision is None or decision.imagine is None:
            return
        ends = decision.imagine()[rows, -1]  # (K, P, D)
        for row, frame in zip(rows, self.bank.nearest(ends), strict=True):
            self._futures[int(moment.indices[row])] = frame
