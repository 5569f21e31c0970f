"""Problem sets on disk: arrays without pickle, and a manifest that comes last."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.evaluation.arena import Arena
from worldmodel.evaluation.problems import (
    ARRAY_NAMES,
    ProblemSet,
    collect_problems,
)
from worldmodel.files.atomic import new_file
from worldmodel.files.json_file import read_object
from worldmodel.files.lock import FileLock

PROBLEMS_VERSION = 1
ARRAYS = "problems.npz"
MANIFEST = "problems.json"
LOCK = ".lock"
_ADVICE = "delete the folder and evaluate again: problems are made from seeds"


def prepare_problems(arena: Arena, split: str, n: int, folder: Path) -> ProblemSet:
    """Gives the first n problems of a split, from disk where enough are saved.

    Processes that ask for the same folder at the same time wait for the one that makes
    them; problems that are there can be read where nothing can be written.

    Args:
        arena: Where they are made.
        split: One of SPLIT_SEEDS.
        n: Number of problems.
        folder: Where they are saved, or will be.
    """
    saved = _saved_problems(arena, split, n, folder)
    if saved is not None:
        return saved
    with FileLock(folder / LOCK, wait=True):
        saved = _saved_problems(arena, split, n, folder)
        if saved is not None:
            return saved
        made = arena.problems(split, n)
        problems = collect_problems(made, split, arena.fingerprint)
        save_problems(problems, folder)
        return problems


def _saved_problems(
    arena: Arena, split: str, n: int, folder: Path
) -> ProblemSet | None:
    environment = arena.fingerprint
    if (folder / MANIFEST).is_file():
        saved = load_problems(folder, environment)
        if (saved.task, saved.split) != (arena.task, split):
            raise WorldModelError(
                f"{folder} holds {saved.split} problems of {saved.task}, not {split} "
                f"problems of {arena.task}; give another folder"
            )
        if len(saved) >= n:
            return saved.head(n)
    return None


def save_problems(problems: ProblemSet, folder: Path) -> None:
    """Writes a set into a folder; the manifest comes last and makes it whole."""
    with new_file(folder / ARRAYS) as staging, staging.open("wb") as file:
        np.savez_compressed(
            file,
            seeds=problems.seeds,
            states=problems.states,
            goals=problems.goals,
            start_images=problems.start_images,
            goal_images=problems.goal_images,
        )
    with new_file(folder / MANIFEST) as staging:
        staging.write_text(json.dumps(_manifest(problems), indent=1))


def load_problems(folder: Path, environment: str | None = None) -> ProblemSet:
    """Reads a set and checks every bit of it against its manifest.

    Args:
        folder: Where `save_problems` wrote.
        environment: Fingerprint of the environment to run them in, if any.

    Raises:
        WorldModelError: There is no finished set, its files do not belong together,
            or it was made in another environment.
    """
    manifest = _read_manifest(folder)
    problems = ProblemSet(
        task=manifest["task"],
        split=manifest["split"],
        environment=manifest["environment"],
        **_read_arrays(folder / ARRAYS),
    )
    found = _manifest(problems)
    for name, value in found.items():
        if manifest[name] != value:
            raise WorldModelError(
                f"{folder} is damaged or half-written: its {name} is {value!r}, its "
                f"manifest says {manifest[name]!r}; {_ADVICE}"
            )
    if environment not in (None, problems.environment):
        raise WorldModelError(
            f"{folder} was made in environment {problems.environment}, this one is "
            f"{environment}; {_ADVICE}"
        )
    return problems


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    for name in (MANIFEST, ARRAYS):
        if not (folder / name).is_file():
            raise WorldModelError(
                f"no finished problem set in {folder}: {name} is missing; {_ADVICE}"
            )
    try:
        manifest = read_object(path)
    except WorldModelError as error:
        raise WorldModelError(f"{error}; {_ADVICE}") from error
    wanted = ("environment", "fingerprint", "n", "seeds", "split", "task", "version")
    if tuple(sorted(manifest)) != wanted:
        raise WorldModelError(f"{path} must have the fields {wanted}; {_ADVICE}")
    if manifest["version"] != PROBLEMS_VERSION:
        raise WorldModelError(
            f"{path} must have version {PROBLEMS_VERSION}, got "
            f"{manifest['version']!r}; {_ADVICE}"
        )
    return manifest


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise WorldModelError(f"{path} cannot be read ({error}); {_ADVICE}") from error
    if sorted(arrays) != sorted(ARRAY_NAMES):
        raise WorldModelError(
            f"{path} must hold {sorted(ARRAY_NAMES)}, got {sorted(arrays)}; {_ADVICE}"
        )
    return arrays


def _manifest(problems: ProblemSet) -> dict[str, Any]:
    return {
        "version": PROBLEMS_VERSION,
        "task": problems.task,
        "split": problems.split,
        "n": len(problems),
        "seeds": problems.seeds.tolist(),
        "environment": problems.environment,
        "fingerprint": problems.fingerprint,
    }
