"""Does work survive kills? Kills commands at random moments and lets them go on.

    python -m benchmarks.kills --out runs/kills --each 50

Tiny runs of collect, pretrain, train, practice and evaluate are killed (kill -9, kill,
Ctrl-C) at moments drawn evenly over an uninterrupted run, and started again until they
end. Counted is: finished work that was lost or done again, results that differ from an
uninterrupted run's (bitwise: weights, logs, datasets, episode records, films),
processes that outlive their parent, files that a kill left half-written, tracebacks,
and unexpected exits. The same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.kills_runs import (
    Run,
    contents,
    finished,
    leftovers,
    tiny_runs,
    untouched,
)

KINDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
WEIGHTS = (3, 1, 1)
MOST = 12  # kills of one run, which is then left to end
PATIENCE = 20.0  # until what was killed must be gone [s]
STUCK = 999  # status of what did not end in that time
FAULTS = ("lost", "different", "orphans", "leftovers", "tracebacks", "exits")
# Imported once, before forking, so that kills hit work and not imports. Nothing of it
# may start threads or open a GL context.
PRELOADED = ("torch", "pyarrow.parquet", "safetensors.torch", "av", "PIL.Image")
PRELOADED += ("hydra", "omegaconf", "tqdm", "gymnasium", "worldmodel.commands.main")


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        status: As `subprocess` gives it: negative for a signal.
        seconds: How long it ran [s].
        orphans: Processes of its session that were still there.
        said: What it wrote to its standard error.
    """

    status: int
    seconds: float
    orphans: int
    said: str


def main() -> None:
    """Kills what is asked for, writes results.json and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/kills"))
    parser.add_argument("--each", type=int, default=50, help="kills of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="names of commands")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny matrices
    for name in PRELOADED:
        importlib.import_module(name)
    for run in tiny_runs(options.out.resolve() / "whole"):
        if options.only and run.name not in options.only:
            continue
        whole = uninterrupted(run)
        counts = torment(run, whole, options.out / run.name, options.each, options.seed)
        print(row(run.name, counts), flush=True)
    report(options.out)


def uninterrupted(run: Run) -> float:
    """Makes what the others are compared with; gives its duration [s]."""
    took = run.folder.with_name(f"{run.folder.name}.seconds")
    if not took.is_file():
        shutil.rmtree(run.folder, ignore_errors=True)
        ended = start(run, run.folder, None, signal.SIGKILL)
        if ended.status != 0:
            sys.exit(f"{run.name} fails without any kill:\n{ended.said}")
        took.write_text(str(ended.seconds))
    return float(took.read_text())


def torment(run: Run, whole: float, folder: Path, each: int, seed: int) -> Counter[str]:
    """Kills runs of a command until there were `each` kills; gives what was counted."""
    folder.mkdir(parents=True, exist_ok=True)
    total: Counter[str] = Counter()
    number = 0
    while total["kills"] < each:
        file = folder / f"{number:03d}.json"
        if not file.is_file():
            rng = random.Random(f"{seed}/{run.name}/{number}")
            most = min(MOST, each - total["kills"])
            counts = to_the_end(run, whole, folder / f"{number:03d}", most, rng)
            file.write_text(json.dumps(counts))
        total.update(json.loads(file.read_text()))
        number += 1
    return total


def to_the_end(
    run: Run, whole: float, folder: Path, most: int, rng: random.Random
) -> Counter[str]:
    """Kills one run up to `most` times until it ends; compares what it leaves."""
    shutil.rmtree(folder, ignore_errors=True)
    counts, notes = Counter(runs=1), []
    while True:
        moment = rng.uniform(0, whole) if counts["kills"] < most else None
        (kind,) = rng.choices(KINDS, WEIGHTS)
        before, written = finished(run, folder), untouched(folder)
        ended = start(run, folder, moment, kind)
        counts["orphans"] += ended.orphans
        counts["tracebacks"] += "Traceback" in ended.said
        now, again = finished(run, folder), untouched(folder)
        lost = [key for key, n in before.items() if now[key] < n]
        lost += [name for name, at in written.items() if again.get(name, at) != at]
        counts["lost"] += len(lost)
        is_odd = ended.status not in (0, 130 if kind == signal.SIGINT else -kind)
        counts["exits"] += is_odd
        if lost or is_odd or ended.orphans or "Traceback" in ended.said:
            notes.append(f"{kind.name} after {moment}: {lost} {ended}")
        if ended.status == 0 or counts["exits"]:
            break
        counts["kills"] += 1
    theirs, ours = contents(run, run.folder), contents(run, folder)
    names = {name for name in {*theirs, *ours} if theirs.get(name) != ours.get(name)}
    counts["different"] += bool(names)
    counts["leftovers"] += len(leftovers(folder))
    if names or leftovers(folder):
        notes.append(f"different: {sorted(names)}, leftovers: {leftovers(folder)}")
    if notes:  # and the folder stays, to be looked at
        folder.with_suffix(".txt").write_text("\n".join(notes))
    if not any(counts[fault] for fault in FAULTS):
        shutil.rmtree(folder)
    return counts


def start(run: Run, folder: Path, moment: float | None, kind: signal.Signals) -> Ended:
    """Runs a command in a process of its own, and kills it after a moment [s]."""
    log = folder.with_name(f"{folder.name}.stderr")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    begun = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _be(run.words(folder), log)
    while os.getpgid(pid) != pid:  # until it leads a session of its own
        time.sleep(0.001)
    status = _wait(pid, moment)
    if status is None:
        (os.killpg if kind == signal.SIGINT else os.kill)(pid, kind)
        status = _wait(pid, PATIENCE)
        if status is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            status = STUCK
    seconds = time.monotonic() - begun
    return Ended(status, seconds, _orphans(pid), log.read_text())


def _be(words: list[str], log: Path) -> None:
    """Becomes the command; never returns."""
    status = 1
    try:
        # Started in the background of a script, this process would never get Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setsid()
        with log.open("w") as file, open(os.devnull, "w") as nothing:
            os.dup2(file.fileno(), 2)
            os.dup2(nothing.fileno(), 1)
        console = importlib.import_module("worldmodel.commands.main")
        status = console.main(words)
    except KeyboardInterrupt:  # it had not begun
        status = 130
    finally:
        sys.stderr.flush()
        os._exit(status)


def _wait(pid: int, seconds: float | None) -> int | None:
    """Gives the status of a child, None if it has not ended in time."""
    end = time.monotonic() + (float("inf") if seconds is None else seconds)
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.005)


def _orphans(session: int) -> int:
    """Counts processes of a session that do not end by themselves; then ends them."""
    end = time.monotonic() + PATIENCE
    while (left := list(_members(session))) and time.monotonic() < end:
        time.sleep(0.02)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return len(left)


def _members(session: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] != "Z" and int(fields[3]) == session:
            yield int(entry.name)


def report(out: Path) -> None:
    """Writes results.json of all that has been counted, and prints the table."""
    results: dict[str, Counter[str]] = {}
    for file in sorted(out.glob("*/[0-9]*.json")):
        counts = results.setdefault(file.parent.name, Counter())
        counts.update(json.loads(file.read_text()))
    (out / "results.json").write_text(json.dumps(results, indent=1))
    names = ("kills", "runs", *FAULTS)
    print("| command | " + " | ".join(names) + " |")
    print("| --- |" + " --- |" * len(names))
    for name, counts in results.items():
        print(row(name, counts))


def row(name: str, counts: Counter[str]) -> str:
    """Gives a line of the table."""
    cells = [str(counts[key]) for key in ("kills", "runs", *FAULTS)]
    return f"| {name} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
