"""What the training commands share: data, device, progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from worldmodel.atomic import new_file, writing
from worldmodel.commands.progress import bar
from worldmodel.data import FrameCache, LeRobotDataset
from worldmodel.errors import OptionError

OnStep = Callable[[int, dict[str, float]], None]

_LOG_EVERY = 50  # steps


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" takes a GPU where there is one.

    Raises:
        OptionError: torch cannot use that device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise OptionError(
            f"device={name} does not work here, try device=auto: {error}"
        ) from error


def open_frames(path: str) -> FrameCache:
    """The decoded cache of a dataset, made first where it is missing."""
    dataset = LeRobotDataset.open(path)
    with bar(len(dataset), "decode", "episode") as progress:

        def advance(done: int, total: int) -> None:
            del total
            progress.update(done - progress.n)

        return FrameCache.open(dataset, progress=advance)


@contextmanager
def followed(label: str, steps: int, log: Path) -> Iterator[OnStep]:
    """A callback that moves a progress bar and appends the loss terms to a file.

    Lines of steps that a killed run had done, and that are done again, are replaced.
    """
    with bar(steps, label, "step") as progress:
        is_first = True

        def on_step(done: int, terms: dict[str, float]) -> None:
            nonlocal is_first
            if is_first:
                _forget(log, done)
            is_first = False
            progress.update(done - progress.n)
            if done % _LOG_EVERY and done != steps:
                return
            shown = " ".join(f"{name}={value:.4f}" for name, value in terms.items())
            with writing(log), log.open("a") as file:
                file.write(f"{done} {shown}\n")
            progress.set_postfix_str(f"loss {terms['total']:.3f}")

        yield on_step


def _forget(log: Path, step: int) -> None:
    """Drops the lines of a log from a step on, and what a kill has cut off."""
    if not log.is_file():
        return
    lines = log.read_text().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    kept = [line for line in whole if int(line.partition(" ")[0]) < step]
    if kept != lines:
        with new_file(log) as staging:
            staging.write_text("".join(kept))
