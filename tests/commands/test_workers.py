import functools
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from worldmodel.commands.workers import spread
from worldmodel.errors import WorldModelError

ROOT = Path(__file__).parents[2]
BUSY = """
import functools, signal, sys
from pathlib import Path
from tests.commands.test_workers import note_and_sleep
from worldmodel.commands.workers import spread
if __name__ == "__main__":
    # ignored where the tests were started in the background of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        list(spread(functools.partial(note_and_sleep, Path(sys.argv[1])), [1, 2], 2))
    except KeyboardInterrupt:
        sys.exit(130)
"""


def note_and_sleep(folder: Path, item: int) -> int:
    (folder / str(os.getpid())).touch()
    time.sleep(60)
    return item


def double(item: int) -> int:
    return 2 * item


def fail(item: int) -> int:
    if item == 1:
        raise WorldModelError("one failed")
    time.sleep(60)
    return item


def die(item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return status != "Z"


def wait_until(condition, seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("workers", [1, 2])
def test_every_item_is_worked_on_once(workers):
    work = functools.partial(double)
    assert sorted(spread(work, [1, 2, 3], workers)) == [2, 4, 6]


def test_an_error_in_a_worker_is_passed_on_and_stops_the_others():
    begun = time.monotonic()
    with pytest.raises(WorldModelError, match="one failed"):
        list(spread(functools.partial(fail), [0, 1], 2))
    assert time.monotonic() - begun < 30


def test_a_killed_worker_is_an_error_that_says_what_to_do():
    with pytest.raises(
        WorldModelError, match="a worker process was killed, .*workers="
    ):
        list(spread(functools.partial(die), [0, 1], 2))


def test_closing_stops_workers_that_are_busy(tmp_path):
    with closing(spread(functools.partial(quick_then_slow, tmp_path), [0, 1], 2)) as it:
        assert next(iter(it)) == 0
        assert wait_until(lambda: len(list(tmp_path.iterdir())) == 1)
    (pid,) = (int(file.name) for file in tmp_path.iterdir())
    assert wait_until(lambda: not is_running(pid), 5)


def quick_then_slow(folder: Path, item: int) -> int:
    return note_and_sleep(folder, item) if item else item


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks processes up in /proc")
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent_and_say_nothing(kind, tmp_path):
    script = tmp_path / "busy.py"
    script.write_text(BUSY)
    pids = tmp_path / "pids"
    pids.mkdir()
    with subprocess.Popen(
        [sys.executable, str(script), str(pids)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as parent:
        assert wait_until(lambda: len(list(pids.iterdir())) == 2)
        workers = [int(file.name) for file in pids.iterdir()]
        if kind == signal.SIGINT:  # as a terminal does it: to all of them
            os.killpg(parent.pid, kind)
        else:
            parent.send_signal(kind)
        assert parent.wait(20) == (130 if kind == signal.SIGINT else -kind)
        assert wait_until(lambda: not any(map(is_running, workers)), 10)
        assert parent.stderr is not None
        shown = parent.stderr.read()
    assert "Traceback" not in shown, shown
