"""Does hostile input end in one clear line? Commands, datasets, checkpoints, API calls.

    python -m benchmarks.hostile --out runs/hostile

Each case runs in a forked process of its own, under limits of time and memory, and ends
as one line that names what is wrong with status 2 (a call: as a ValueError or OSError),
or else as a traceback, a hang, too much memory, or silently accepted. What is done is
kept case by case; the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.hostile_calls import calls
from benchmarks.hostile_cases import Case
from benchmarks.hostile_checkpoints import checkpoints, make_encoder
from benchmarks.hostile_commands import commands
from benchmarks.hostile_datasets import datasets, make_dataset
from envs.graphics import NoGraphicsError, select_backend

SECONDS = 10.0  # of processor time, or three times as long by the clock
BYTES = 2 * 2**30  # resident
REFUSED = (ValueError, OSError, NoGraphicsError)
OUTCOMES = ("clear", "vague", "traceback", "hang", "memory", "accepted")
PRELOADED = ("collect", "practice", "pretrain", "train", "evaluate", "plan", "report")
PRELOADED += ("demo", "doctor", "convert")
_STATUS_REFUSED = 2
_LINE = 1000  # characters of a line that is still read: it may list eight tensors


@dataclass(frozen=True)
class Ending:
    """How a case ended.

    Attributes:
        outcome: One of `OUTCOMES`.
        right: Whether that is what it should be.
        said: The last line that it wrote to its standard error.
        seconds: By the clock [s].
        megabytes: Most resident memory of the process [MB].
    """

    outcome: str
    right: bool
    said: str
    seconds: float
    megabytes: float


def main() -> int:
    """Runs what has not been run, prints the table, writes results.json."""
    options = _options()
    out = Path(options.out).resolve()  # cases run in folders of their own
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    select_backend()  # in the environment, for all that follow
    for name in PRELOADED:
        __import__(f"worldmodel.commands.{name}")
    stock = out / "stock"
    make_dataset(stock / "play")
    make_encoder(stock / "encoder")
    cases = [*commands(stock), *datasets(stock), *checkpoints(stock), *calls()]
    names = [case.id for case in cases]
    assert len(set(names)) == len(names), "two cases have one name"
    known = {} if options.again else _read(out / "cases.jsonl")
    chosen = [case for case in cases if options.only in case.id]
    for case in chosen:
        if case.id not in known:
            known[case.id] = run_case(case)
            _write(out / "cases.jsonl", {case.id: known[case.id]})
            if not known[case.id].right:
                print(_row(case.id, known[case.id]), flush=True)
    endings = {case.id: known[case.id] for case in chosen}
    print(table(endings))
    content = {name: asdict(ending) for name, ending in endings.items()}
    (out / "results.json").write_text(json.dumps(content, indent=1) + "\n")
    return 0 if all(ending.right for ending in endings.values()) else 1


def run_case(case: Case) -> Ending:
    """Runs a case in a process of its own, in an empty folder that is deleted then."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _be_the_case(case, folder)
    cut, most = _watch(child, began)
    _, status, usage = os.wait4(child, 0)
    seconds = time.monotonic() - began
    said = (folder / "stderr").read_text(errors="replace")
    shutil.rmtree(folder, ignore_errors=True)
    megabytes = max(most, usage.ru_maxrss * 1024) / 1e6
    outcome = cut or _classify(os.waitstatus_to_exitcode(status), said, case)
    lines = said.strip().splitlines() or [""]
    return Ending(outcome, outcome == case.right, lines[-1], seconds, megabytes)


def table(endings: dict[str, Ending]) -> str:
    """Counts by kind of case and outcome, then what did not end as it should."""
    kinds = sorted({name.partition("/")[0] for name in endings})
    rows = [f"{'':<12}" + "".join(f"{o:>11}" for o in (*OUTCOMES, "right", "of"))]
    for kind in [*kinds, ""]:
        some = [e for name, e in endings.items() if name.startswith(kind)]
        counts = Counter(ending.outcome for ending in some)
        numbers = [counts[outcome] for outcome in OUTCOMES]
        numbers += [sum(ending.right for ending in some), len(some)]
        rows.append(f"{kind or 'all':<12}" + "".join(f"{n:>11}" for n in numbers))
    wrong = [_row(name, e) for name, e in endings.items() if not e.right]
    slowest = max(endings.items(), key=lambda item: item[1].seconds)
    largest = max(endings.items(), key=lambda item: item[1].megabytes)
    rows.append(f"longest: {slowest[1].seconds:.1f} s, {slowest[0]}")
    rows.append(f"largest: {largest[1].megabytes:.0f} MB, {largest[0]}")
    return "\n".join([*rows, "", *(wrong or ["Every case ends as it should."])])


def _be_the_case(case: Case, folder: Path) -> None:
    """Never returns: the process ends with the case."""
    os.setsid()
    sys.stdout.flush()
    file = os.open(folder / "stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDWR)
    for target, source in ((0, nothing), (1, nothing), (2, file)):
        os.dup2(source, target)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (used + 2 * BYTES, used + 2 * BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    work = folder / "work"
    work.mkdir()
    os.chdir(work)
    try:
        status = case.run(work)
    except REFUSED as error:
        print(f"error: {error}", file=sys.stderr)
        status = _STATUS_REFUSED
    except BaseException:  # noqa: BLE001 (whatever it is, the user would see it)
        traceback.print_exc()
        status = 1
    sys.stderr.flush()
    os._exit(status)


def _watch(child: int, began: float) -> tuple[str, int]:
    """Waits for a process; gives why it was ended, "" if by itself, and its memory."""
    most = 0
    while True:
        done = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if done is not None:
            return "", most
        resident, busy = _usage(child)
        most = max(most, resident)
        late = time.monotonic() - began > 3 * SECONDS
        cut = "memory" if most > BYTES else "hang" if late or busy > SECONDS else ""
        if cut:
            os.killpg(child, signal.SIGKILL)
            return cut, most
        time.sleep(0.02)


def _usage(process: int) -> tuple[int, float]:
    """Resident memory [bytes] and processor time [s] of a process."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (OSError, IndexError):
        return 0, 0.0
    ticks = int(fields[11]) + int(fields[12])
    return pages * os.sysconf("SC_PAGE_SIZE"), ticks / os.sysconf("SC_CLK_TCK")


def _classify(status: int, said: str, case: Case) -> str:
    if "Traceback (most recent" in said or status not in (0, 1, _STATUS_REFUSED):
        return "traceback"
    if status == 0:
        return "accepted"
    lines = [line for line in said.strip().splitlines() if line.startswith("error: ")]
    one = lines == said.strip().splitlines() and len(lines) == 1
    helps = one and len(lines[0]) <= _LINE and all(w in lines[0] for w in case.says)
    return "clear" if helps and status == _STATUS_REFUSED else "vague"


def _row(name: str, ending: Ending) -> str:
    return f"{ending.outcome:<10} {name}: {ending.said[:200]}"


def _read(file: Path) -> dict[str, Ending]:
    lines = file.read_text().splitlines() if file.is_file() else []
    found: dict[str, Ending] = {}
    for line in lines:
        for name, values in json.loads(line).items():
            found[name] = Ending(**values)
    return found


def _write(file: Path, endings: dict[str, Ending]) -> None:
    values = {name: asdict(ending) for name, ending in endings.items()}
    with file.open("a") as opened:
        opened.write(json.dumps(values) + "\n")


def _options(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", default="runs/hostile", help="folder for the results")
    parser.add_argument("--only", default="", help="run cases whose name holds this")
    parser.add_argument("--again", action="store_true", help="run them all anew")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
