"""What the training commands share: data, progress."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig

from worldmodel.commands.limits import MOST_EPISODES, require_whole
from worldmodel.commands.progress import bar
from worldmodel.commands.run_readme import write_run_readme
from worldmodel.commands.training_log import TrainingLog, plot_losses
from worldmodel.data import (
    DatasetSpec,
    EpisodeSource,
    FrameCache,
    LeRobotDataset,
    View,
    open_dataset,
)
from worldmodel.data.cache_place import cache_folder
from worldmodel.data.first_episodes import first_episodes
from worldmodel.data.lazy_frames import LazySource
from worldmodel.errors import OptionError
from worldmodel.training.distributed import launched_here

OnStep = Callable[[int, dict[str, float]], None]

_LOG_EVERY = 50  # steps


def open_frames(
    path: str,
    cache: str | None = None,
    view: View | None = None,
    limit: int | None = None,
) -> FrameCache:
    """The decoded cache of a dataset, made first where it is missing.

    Args:
        path: The dataset's folder.
        cache: Folder for caches, or None; see `cache_folder`.
        view: How a dataset of others is looked at; None refuses such.
        limit: Bytes of frames of such a dataset that are kept, see `cache_limit`.

    Raises:
        OptionError: Frames have another size than the view says.
    """
    dataset: EpisodeSource = (
        LeRobotDataset.open(path) if view is None else open_dataset(path, view)
    )
    if view is not None:
        _check_size(path, dataset.spec, view)
    folder = cache_folder(dataset, None if cache is None else Path(cache))
    if cache is None and not folder.is_relative_to(dataset.path):
        note = f"{path} cannot be written: its decoded frames are in {folder}"
        print(f"{note}; cache= names another folder", file=sys.stderr)
    place = folder / dataset.cache_name
    if isinstance(dataset, LazySource):  # decodes what training asks for
        return FrameCache.open(dataset, place, limit=limit)
    with bar(len(dataset), "decode", "episode") as progress:

        def advance(done: int, total: int) -> None:
            del total
            progress.update(done - progress.n)

        return FrameCache.open(dataset, place, progress=advance, limit=limit)


def training_frames(config: DictConfig, view: View) -> FrameCache:
    """The decoded cache of `data=`, cut to the first `episodes=` of it.

    Raises:
        OptionError: `episodes` is no whole number, or there are not so many.
    """
    if config.episodes is not None:
        require_whole(config, "episodes", 1, MOST_EPISODES)
    frames = open_frames(config.data, config.cache, view, cache_limit(config))
    if config.episodes is None:
        return frames
    return first_episodes(frames, config.episodes)


def cache_limit(config: DictConfig) -> int | None:
    """Gives the bytes of decoded frames that this process may keep of a dataset.

    Raises:
        OptionError: `cache_limit` is no number of GiB.
    """
    given = config.cache_limit
    if given is None:
        return None
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if not is_number or not 0 < given < math.inf:
        raise OptionError(
            f"cache_limit must be a number of GiB above 0, or null, got {given}"
        )
    return int(given * 2**30) // launched_here()


def _check_size(path: str, spec: DatasetSpec, view: View) -> None:
    found, wanted = (spec.height, spec.width), (view.height, view.width)
    if found != wanted and None not in wanted:
        raise OptionError(
            f"{path} has frames of {found[0]} x {found[1]} (height x width), the "
            f"encoder sees {wanted[0]} x {wanted[1]}: pretrain one for this size, with "
            f"recipe.model.encoder.height={found[0]} and width={found[1]}"
        )


@contextmanager
def followed(label: str, steps: int, log: Path) -> Iterator[OnStep]:
    """A callback that moves a progress bar and writes the loss terms to a log.

    Args:
        label: Name of the stage.
        steps: Steps in all.
        log: Where the log is, e.g. `predictor.jsonl`.
    """
    with (
        bar(steps, label, "step") as progress,
        TrainingLog(log) as lines,
    ):

        def on_step(done: int, terms: dict[str, float]) -> None:
            progress.update(done - progress.n)
            if done % _LOG_EVERY and done != steps:
                return
            lines.write(done, terms)
            progress.set_postfix_str(f"loss {terms['total']:.3f}")

        yield on_step


def finish_training(folder: Path, command: str) -> None:
    """Draws the losses of a run, and writes its README."""
    if plot_losses(folder, folder / "losses.png") is None:
        print("losses.png is not drawn: pip install worldmodel-planner[plots]")
    write_run_readme(folder, command)
