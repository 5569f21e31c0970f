"""Runs of `worldmodel evaluate` that a benchmark makes, one folder each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from worldmodel.evaluation.results import Row, load_results

_ERROR = 2000  # characters of what a failed run said


def evaluate(
    options: Sequence[str], out: Path, threads: int | None = None, task: str = "push"
) -> None:
    """Evaluates a task's problems of the validation split, unless it has been done.

    Args:
        options: more of `worldmodel evaluate`.
        out: folder of the run.
        threads: that it computes with, None for all.
        task: which one.

    Raises:
        RuntimeError: the run failed; with the end of what it said.
    """
    if (out / "results.json").exists():
        return
    worldmodel_command(
        ["evaluate", f"task={task}", "split=validation", *options, f"out={out}"],
        threads,
    )


def worldmodel_command(words: Sequence[str], threads: int | None = None) -> None:
    """Runs a command in a process of its own, quietly.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    command = [sys.executable, "-m", "worldmodel", *words]
    environment = dict(os.environ)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed: {done.stderr[-_ERROR:]}")


def method_row(folder: Path) -> Row | None:
    """Gives the method's row of a run's results, None where there are none."""
    path = folder / "results.json"
    if not path.exists():
        return None
    return next(row for row in load_results(path).rows if row.method.kind == "method")
