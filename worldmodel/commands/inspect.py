"""Says what a dataset holds, what training uses of it, and what is wrong with it.

Reads any dataset in LeRobot format v3, also one that others recorded. The exit status
is 1 where something has to be mended.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from worldmodel.commands.limits import MOST_EPISODES, folder_option, require_whole
from worldmodel.commands.progress import track
from worldmodel.data import (
    DamagedEpisodes,
    DatasetError,
    EpisodeSource,
    ForeignDataset,
    View,
    contact_sheet,
    open_dataset,
)
from worldmodel.data.alignment import Alignment, alignment
from worldmodel.data.foreign_info import Feature, ForeignInfo, read_foreign_info
from worldmodel.data.hub import dataset_folder
from worldmodel.data.opening import is_foreign
from worldmodel.data.spec import ACTION_KEY, COUNTERS, PROPRIO_KEY

EXAMPLE = "worldmodel inspect data=data/pusht out=pusht.png"
MOST_TASKS = 5  # named
MOST_COMPARED = 500  # episodes whose actions are compared with their states
SHEET_SIDE = 128  # of a picture on the sheet, at most [px]
WIDTH = 10  # of a line's topic
OTHER_SAYS = "absolute_actions={} says otherwise"


@dataclass(eq=False)
class Seen:
    """What reading some episodes showed.

    Attributes:
        problems: What is wrong, with its episode.
        readable: Indices of those that could be read.
        numbers: Actions and proprio of these.
        frames: Frames of the first of these.
        seconds: How long reading that took [s].
    """

    problems: list[str] = field(default_factory=list)
    readable: list[int] = field(default_factory=list)
    numbers: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    frames: int = 0
    seconds: float = 0.0


def run(config: DictConfig) -> int:
    """Prints what is there; gives 1 where something has to be mended."""
    require_whole(config, "episodes", 0, MOST_EPISODES)
    named = folder_option(config, "data")
    view = View(config.camera, absolute_actions=config.absolute_actions)
    root = dataset_folder(named)
    if not is_foreign(root):
        open_dataset(root, view)  # says best what to do where something is missing
    _print_features(read_foreign_info(root))
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        try:
            dataset = open_dataset(named, view)
        except DamagedEpisodes as error:
            return _finish(error.problems, "found in records and rows")
    for note in notes:
        _line("note", str(note.message))
    _print_content(dataset)
    _print_use(dataset)
    seen = _read(dataset, config.episodes or len(dataset))
    _print_alignment(dataset, seen)
    _print_speed(dataset, seen)
    if config.out is not None and seen.readable:
        _draw(dataset, view, seen.readable, Path(config.out).expanduser())
    done = len(seen.readable) + len(seen.problems)
    return _finish(seen.problems, f"pictures of {done} of {len(dataset)} episodes read")


def _print_features(info: ForeignInfo) -> None:
    _line("dataset", f"{info.root}, LeRobot v3.0, robot: {info.robot_type}")
    for key, feature in info.features.items():
        if key not in COUNTERS:
            _line("feature", f"{key}: {_described(feature)}")


def _described(feature: Feature) -> str:
    if feature.is_picture:
        where = "video" if feature.is_video else "parquet"
        size = feature.pixels()
        if size is None:
            return f"no RGB pictures, shape {list(feature.shape)}, in {where}; not used"
        return f"pictures of {size[0]} x {size[1]} (height x width) in {where}"
    text = f"{feature.dtype} {list(feature.shape)} in parquet"
    if feature.key not in (ACTION_KEY, PROPRIO_KEY):
        return f"{text}; not used"
    return f"{text}: {_short(', '.join(feature.names))}"


def _print_content(dataset: EpisodeSource) -> None:
    lengths, rate = [record.length for record in dataset.records], dataset.spec.fps
    _line(
        "holds",
        f"{len(dataset)} episodes, {min(lengths)} to {max(lengths)} frames each, "
        f"{dataset.frames} in all, {dataset.frames / rate:.1f} s at {rate:g} frames/s",
    )
    tasks = Counter(record.task for record in dataset.records).most_common()
    told = [f"{task!r} in {count}" for task, count in tasks[:MOST_TASKS]]
    more = [f"{len(tasks) - MOST_TASKS} more"] if len(tasks) > MOST_TASKS else []
    _line("tasks", ", ".join([*told, *more]))


def _print_use(dataset: EpisodeSource) -> None:
    spec, actions = dataset.spec, dataset.spec.action_spec
    if isinstance(dataset, ForeignDataset):
        beside = " side by side" if len(spec.cameras) > 1 else ""
        _line(
            "camera",
            f"{', '.join(spec.cameras)}{beside}: frames of {spec.height} x "
            f"{spec.width} (height x width); pretrain and train resize them to the "
            "encoder's size",
        )
    ends = actions.in_units(np.array([[-1.0], [1.0]]) * np.ones(actions.size))
    for place, (name, unit) in enumerate(
        zip(actions.names, actions.units, strict=True)
    ):
        low, high = ends[:, place]
        _line("action", f"{name}: [{low:g}, {high:g}] ({unit}) becomes [-1, 1]")
    _line("actions", _kind_of_actions(dataset))
    names = _short(", ".join(spec.proprio_names))
    _line("proprio", f"{len(spec.proprio_names)} numbers: {names}" if names else "none")


def _kind_of_actions(dataset: EpisodeSource) -> str:
    is_absolute = dataset.spec.action_spec.absolute
    what = "where to be" if is_absolute else "how to move"
    text = f"taken to say {what} ({'absolute' if is_absolute else 'relative'})"
    if not isinstance(dataset, ForeignDataset):
        return f"{text}, as the dataset tells"
    if dataset.view.absolute_actions is not None:
        return f"{text}, as absolute_actions= says"
    least, most = dataset.action_low.min(), dataset.action_high.max()
    other = OTHER_SAYS.format(str(not is_absolute).lower())
    return f"{text}: they are in [{least:g}, {most:g}]; {other}"


def _read(dataset: EpisodeSource, count: int) -> Seen:
    """Reads some episodes, spread evenly over all."""
    seen, some = Seen(), min(count, len(dataset))
    places = np.linspace(0, len(dataset) - 1, some).round().astype(int)
    for place in track(places.tolist(), some, "read", "episode"):
        index = dataset.indices[place]
        begin = time.perf_counter()
        try:
            episode = dataset.episode(index)
        except DatasetError as error:
            seen.problems.append(str(error))
            continue
        if not seen.readable:
            seen.frames, seen.seconds = len(episode), time.perf_counter() - begin
        seen.readable.append(index)
        seen.numbers.append((episode.actions, episode.proprio))
    return seen


def _print_alignment(dataset: EpisodeSource, seen: Seen) -> None:
    numbers = seen.numbers
    if isinstance(dataset, ForeignDataset):
        numbers = [dataset.numbers(i) for i in dataset.indices[:MOST_COMPARED]]
    found = alignment(numbers, dataset.spec.action_spec.absolute)
    _line(
        "alignment", "not told: there is no proprio" if found is None else _told(found)
    )


def _told(found: Alignment) -> str:
    values = [f"{lag:+d}: {value:.2f}" for lag, value in found.correlations.items()]
    text = "correlation of actions with the change of proprio so many steps later: "
    text += ", ".join(values)
    if found.is_weak:
        return f"{text}; too weak to tell"
    if not found.is_shifted:
        return f"{text}; best at {found.best:+d}, as it should be (0 or +1)"
    way = "late" if found.best < 0 else "early"
    return (
        f"{text}; WARNING: best at {found.best:+d}, where 0 or +1 is expected: actions "
        f"seem to stand in rows that are too {way}, or absolute_actions is wrong"
    )


def _print_speed(dataset: EpisodeSource, seen: Seen) -> None:
    if seen.readable:
        whole = dataset.frames * seen.seconds / seen.frames
        _line(
            "reading",
            f"episode {seen.readable[0]}: {seen.frames} frames in {seen.seconds:.2f} "
            f"s, so about {whole:.1f} s for all on one core",
        )


def _draw(
    dataset: EpisodeSource, view: View, indices: Sequence[int], out: Path
) -> None:
    """Writes a sheet with small pictures of these episodes."""
    if isinstance(dataset, ForeignDataset):
        spec, count = dataset.spec, len(dataset.cameras)
        shrink = min(1.0, SHEET_SIDE * count / max(spec.height, spec.width))
        height = max(1, round(spec.height * shrink))
        width = max(1, round(spec.width * shrink / count)) * count
        small = View(dataset.cameras, height, width, 1, view.absolute_actions)
        dataset = ForeignDataset.open(dataset.path, small)
    contact_sheet(dataset, out, episodes=list(indices))
    _line("pictures", str(out))


def _finish(problems: Sequence[str], what: str) -> int:
    for problem in problems:
        _line("problem", problem)
    _line("problems", f"{len(problems) or 'none'}; {what}")
    return 1 if problems else 0


def _line(topic: str, text: str) -> None:
    print(f"{topic:<{WIDTH}}  {text}")


def _short(text: str, most: int = 120) -> str:
    """Gives a text, cut off where it is long."""
    return text if len(text) <= most else f"{text[:most]}…"
