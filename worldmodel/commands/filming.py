"""Films of chosen problems, and of one success and one failure wherever they occur."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from omegaconf import ListConfig

from worldmodel.errors import OptionError, WorldModelError
from worldmodel.evaluation.episode import Episode
from worldmodel.evaluation.film import Film
from worldmodel.evaluation.film_subject import Subject
from worldmodel.evaluation.frame_bank import FrameBank
from worldmodel.evaluation.runner import Moment
from worldmodel.evaluation.video import write_gif, write_mp4

# Small enough for a page, where that can be; else as large as it gets.
_GIF_BYTES, _MOST_GIF_BYTES = 1_500_000, 50_000_000
# Pictures of so many problems of a group are kept until it is known how they ended.
_CANDIDATES = 6


def film_places(option: object, n: int) -> frozenset[int]:
    """Gives the places of the problems that the option `film` names.

    Args:
        option: None, a count, or a list of places.
        n: Number of problems.

    Raises:
        OptionError: It is something else, or a place is not in [0, n).
    """
    if option is None:
        return frozenset()
    if isinstance(option, int) and not isinstance(option, bool) and 0 <= option <= n:
        return frozenset(range(option))
    if isinstance(option, list | ListConfig) and all(
        isinstance(place, int) and 0 <= place < n for place in option
    ):
        return frozenset(option)
    raise OptionError(
        f"film must be a count in [0, n={n}] or a list of places in [0, {n}), "
        f"got {option}"
    )


@dataclass
class FilmCutter:
    """A watcher for `run` that keeps one group's pictures, and writes the films.

    Attributes:
        subject: What the films are about.
        folder: Where the films go.
        places: Problems whose films are kept whatever comes.
        bank: Real frames for the imagined future, None to leave it out.
        written: Films in order.
    """

    subject: Subject
    folder: Path
    places: Collection[int]
    bank: FrameBank | None
    written: list[Path] = field(default_factory=list)
    _film: Film = field(init=False)
    _missing: set[bool] = field(default_factory=lambda: {True, False}, init=False)

    def __call__(self, moment: Moment) -> None:
        """Takes pictures; with the first step of a group the last group is dropped."""
        if moment.step == 0:
            indices = [int(index) for index in moment.indices]
            self._film = Film(self._wanted(indices), self.subject, self.bank)
        self._film(moment)

    def finish(self, episode: Episode) -> None:
        """Writes the film of a finished episode if it is wanted."""
        if not self._takes(episode, self._film.indices):
            return
        path = self._path(episode)
        write_film(self._film.frames(episode.index), path, self.subject.rate_hz)
        self.written.append(path)

    def recall(self, episodes: Sequence[Episode]) -> None:
        """Takes note of a group whose films an earlier run has written."""
        wanted = self._wanted([episode.index for episode in episodes])
        for episode in episodes:
            if self._takes(episode, wanted):
                self.written.append(self._path(episode))

    def keep_written(self) -> None:
        """Removes the films of this task that are none of those written.

        Where groups are run by several processes, each films a success and a failure
        of its own.
        """
        kept = {path.stem for path in self.written}
        name = re.compile(rf"{re.escape(file_name(self.subject.task))}_\d+_[a-z]+")
        for path in self.folder.glob("*"):
            if name.fullmatch(path.stem) and path.stem not in kept:
                path.unlink()

    def _wanted(self, indices: list[int]) -> set[int]:
        """Gives the problems of a group whose pictures are kept."""
        wanted = set(self.places).intersection(indices)
        return wanted | set(indices[:_CANDIDATES]) if self._missing else wanted

    def _takes(self, episode: Episode, filmed: Collection[int]) -> bool:
        """Decides whether an episode becomes a film."""
        is_new_outcome = episode.success in self._missing
        if episode.index not in filmed:
            return False
        if episode.index not in self.places and not is_new_outcome:
            return False
        self._missing.discard(episode.success)
        return True

    def _path(self, episode: Episode) -> Path:
        return self.folder / f"{film_name(self.subject.task, episode)}.mp4"


def write_film(frames: list[np.ndarray], path: Path, fps: float) -> None:
    """Writes a film as mp4, and as a GIF beside it, which a README can show.

    Args:
        frames: Its pictures.
        path: Of the mp4.
        fps: Frames per second: those of the control rate show it as fast as it was.
    """
    write_mp4(frames, path, fps)
    gif = path.with_suffix(".gif")
    try:
        write_gif(frames, gif, fps, _GIF_BYTES)
    except WorldModelError:
        write_gif(frames, gif, fps, _MOST_GIF_BYTES)


def film_name(task: str, episode: Episode) -> str:
    """Gives a file name that tells task, place and outcome."""
    outcome = "success" if episode.success else "failure"
    return f"{file_name(task)}_{episode.index:03d}_{outcome}"


def file_name(task: str) -> str:
    """Gives a name for files of a task or env: `gym_pusht/PushT-v0` has a slash."""
    return re.sub(r"[^\w.-]", "_", task.lower())
