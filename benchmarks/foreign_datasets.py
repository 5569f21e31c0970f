"""Datasets of many kinds, written by the real LeRobot client: do they open and train?

    python -m benchmarks.foreign_datasets --client CLIENT/bin/python --out FOLDER

CLIENT is an environment with `pip install lerobot[dataset]`, Python 3.12 or newer; it
writes what is missing in FOLDER/data, see `benchmarks.foreign_kinds`. Each is opened,
every frame is compared with the colour that it was recorded with, and `worldmodel
pretrain` and `train` run on it with no option but `data`, `encoder`, `out` and what the
kind has to say (a camera where there are several, a stride), cut to a few steps.
Prints a table; exits with 1 where something is not as the kind says.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.foreign_kinds import KINDS, Kind, colour
from worldmodel.commands.main import main as worldmodel
from worldmodel.data import View, open_dataset
from worldmodel.data.foreign import ForeignDataset
from worldmodel.errors import WorldModelError

OFF = 6  # of 256, what a codec may change a colour by
STEPS = 3
HEAD = ("dataset", "pictures", "episodes × frames", "action, state", "options")
HEAD += ("outcome",)
FEW = (f"projector.schedule.steps={STEPS}", f"planning.schedule.steps={STEPS}")


@dataclass(frozen=True)
class Outcome:
    """What came of a dataset.

    Attributes:
        kind: What it is.
        text: What was done, or the one line that says why not.
        is_right: Whether that is what the kind says.
        seconds: Opening and decoding took [s].
    """

    kind: Kind
    text: str
    is_right: bool
    seconds: float

    @property
    def row(self) -> str:
        """A line of the table."""
        kind, lengths = self.kind, sorted(set(self.kind.lengths))
        sizes = ", ".join(f"{high} × {wide}" for _, high, wide in kind.cameras)
        spread = "–".join(map(str, dict.fromkeys((lengths[0], lengths[-1]))))
        codec = kind.codec or "PNG"
        cells = (
            kind.name.replace("_", " "),
            f"{codec}, {sizes}",
            f"{len(kind.lengths)} × {spread}, {kind.fps} Hz",
            f"{kind.action}, {kind.state}",
            " ".join(kind.look) or "none",
            self.text,
        )
        return f"| {' | '.join(cells)} |"


def outcome(kind: Kind, data: Path, work: Path) -> Outcome:
    """Opens a dataset, compares its frames, and trains on it."""
    begin = time.perf_counter()
    problem = wrong_frame(kind, data)
    seconds = time.perf_counter() - begin
    if problem:
        return Outcome(kind, problem, False, seconds)
    line = trained(kind, data, work)
    is_right = kind.why_not in line if kind.why_not else not line
    return Outcome(kind, line or "trains", is_right, seconds)


def wrong_frame(kind: Kind, data: Path) -> str:
    """Gives the first frame that is not the recorded one; "" where all are."""
    keys = [key for key, _, _ in kind.cameras]
    for place, key in enumerate(keys):
        try:
            dataset = open_dataset(data, View(key))
        except WorldModelError as error:
            return str(error)
        assert isinstance(dataset, ForeignDataset)
        if [record.length for record in dataset.records] != list(kind.lengths):
            return "other lengths than were recorded"
        for index in dataset.indices:
            means = dataset.episode(index).frames.mean(axis=(1, 2))
            for step, mean in enumerate(means):
                around = [(index, step), (index, step - 1), (index, step + 1)]
                around += [(index - 1, step), (index + 1, step)]
                colours = np.array([colour(place, *some) for some in around])
                off = np.linalg.norm(colours - mean, axis=1)
                if off[0] > OFF or off.argmin():
                    return f"{key}: episode {index}, frame {step}: another colour"
    return ""


def trained(kind: Kind, data: Path, work: Path) -> str:
    """Trains a few steps; gives what the commands said where they did not."""
    pre, out = work / "pretrain", work / "train"
    named = [f"data={data}", f"cache={work / 'cache'}"]
    few = f"recipe.schedule.steps={STEPS}"
    steps = [
        ["pretrain", *named, f"out={pre}", *kind.look, few],
        ["train", *named, f"encoder={pre / 'encoder'}", f"out={out}", *FEW],
    ]
    for words in steps:
        said = io.StringIO()
        quiet = contextlib.redirect_stdout(io.StringIO())
        with contextlib.redirect_stderr(said), quiet:
            status = worldmodel(words)
        if status:
            line = said.getvalue().strip().splitlines()[-1].removeprefix("error: ")
            return line.replace(str(data), "it")
    return ""


def main() -> int:
    """Writes, reads, trains, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", help="Python of an environment with lerobot")
    parser.add_argument("--out", type=Path, default=Path("runs/foreign_datasets"))
    parser.add_argument("--only", nargs="*", help="names of kinds; all by default")
    options = parser.parse_args()
    folder = options.out / "data"
    folder.mkdir(parents=True, exist_ok=True)
    only = options.only or [kind.name for kind in KINDS]
    if options.client:
        words = [options.client, "-m", "benchmarks.foreign_writer", str(folder), *only]
        subprocess.run(words, check=True, capture_output=True)
    right = True
    print(f"| {' | '.join(HEAD)} |\n{'|---' * len(HEAD)}|")
    for kind in KINDS:
        if kind.name not in only:
            continue
        if not (folder / kind.name).is_dir():
            print(f"{kind.name} is not there: give --client", file=sys.stderr)
            right = False
            continue
        work = options.out / "work" / kind.name
        shutil.rmtree(work, ignore_errors=True)
        found = outcome(kind, folder / kind.name, work)
        print(found.row, flush=True)
        print(f"{kind.name}: {found.seconds:.1f} s", file=sys.stderr, flush=True)
        right &= found.is_right
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
