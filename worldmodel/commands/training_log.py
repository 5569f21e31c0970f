"""The loss terms of a stage: JSON lines, and TensorBoard and a plot if installed."""

from __future__ import annotations

import importlib.util
import json
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from worldmodel.files.atomic import new_file, writing

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

LOG_SUFFIX = ".jsonl"
EVENTS_FOLDER = "tensorboard"
Row = dict[str, float]


class TrainingLog:
    """Writes loss terms by step; use it in a `with`.

    A run that goes on after a kill repeats the steps since its last saved state. What
    stands in the log of these is dropped at the first step that is written; the events
    are then made anew from the log, so that no step is there twice.

    Args:
        path: The log, e.g. `predictor.jsonl`; events lie in `tensorboard/predictor/`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_begun = False
        self._events: SummaryWriter | None = None

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._events is not None:
            self._events.close()

    def write(self, step: int, terms: dict[str, float]) -> None:
        """Adds one step, with the terms of its loss."""
        row = {"step": step, "time": round(time.time(), 3), **terms}
        if not self._is_begun:
            self._begin(step)
        with writing(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self._show(row)

    def _begin(self, step: int) -> None:
        before = [row for row in read_log(self._path) if row["step"] < step]
        with new_file(self._path) as staging:
            lines = "".join(json.dumps(row) + "\n" for row in before)
            staging.write_text(lines, encoding="utf-8")
        self._is_begun = True
        self._events = _open_events(self._path)
        for row in before:
            self._show(row)

    def _show(self, row: Row) -> None:
        if self._events is None:
            return
        for name, value in _terms(row).items():
            self._events.add_scalar(name, value, int(row["step"]), row["time"])


def read_log(path: Path) -> list[Row]:
    """Reads a log; a last line that a kill cut off is left out.

    Returns:
        A row for each step, with `step`, `time` [s since 1970] and the terms.
    """
    if not path.is_file():
        return []
    rows: list[Row] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            break
        if not isinstance(row, dict) or not {"step", "time"} <= set(row):
            break
        rows.append(row)
    return rows


def plot_losses(folder: Path, path: Path) -> Path | None:
    """Draws every log of a folder, a panel each, in the order in which they began.

    Returns:
        `path`; None where matplotlib is not installed, or no log is there.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return None
    from matplotlib.figure import Figure

    logs = {log.stem: read_log(log) for log in sorted(folder.glob(f"*{LOG_SUFFIX}"))}
    logs = {stage: rows for stage, rows in logs.items() if rows}
    if not logs:
        return None
    figure = Figure(figsize=(7, 2.6 * len(logs)), layout="constrained")
    axes = figure.subplots(len(logs), squeeze=False)[:, 0]
    stages = sorted(logs, key=lambda stage: logs[stage][0]["time"])
    for axis, stage in zip(axes, stages, strict=True):
        _draw(axis, stage, logs[stage])
    with new_file(path) as staging, staging.open("wb") as file:
        figure.savefig(file, format="png", dpi=110)
    return path


def _draw(axis: Any, stage: str, rows: list[Row]) -> None:
    for name in _terms(rows[-1]):
        points = [(row["step"], row[name]) for row in rows if name in row]
        steps, values = zip(*points, strict=True)
        is_total = name == "total"
        style = {"color": "black", "linewidth": 1.8} if is_total else {"linewidth": 1.0}
        axis.plot(
            steps, values, label=name, marker="." if len(rows) < 3 else "", **style
        )
    if all(value > 0 for row in rows for value in _terms(row).values()):
        axis.set_yscale("log")
    axis.set_title(stage, loc="left", fontsize=10)
    axis.set_xlabel("step", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.25)
    axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _terms(row: Row) -> dict[str, float]:
    return {name: v for name, v in row.items() if name not in ("step", "time")}


def _open_events(log: Path) -> SummaryWriter | None:
    """Events of a log, from nothing; None where TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard.writer import SummaryWriter

    folder = log.parent / EVENTS_FOLDER / log.stem
    shutil.rmtree(folder, ignore_errors=True)
    return SummaryWriter(str(folder))
