"""Work spread over processes that never outlive the one that asked."""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

from worldmodel.commands.ray_workers import spread_over_ray
from worldmodel.errors import OptionError, WorldModelError

LAUNCHERS = ("processes", "ray")
Item = TypeVar("Item")


def require_launcher(launcher: str) -> None:
    """Raises OptionError unless there is such a launcher."""
    if launcher not in LAUNCHERS:
        raise OptionError(
            f"launcher must be one of {', '.join(LAUNCHERS)}, got {launcher!r}"
        )


def launch(
    launcher: str, work: functools.partial, items: list[Item], workers: int
) -> Generator[Item, None, None]:
    """`spread`, or `spread_over_ray`; the results are the same to the bit.

    Args:
        launcher: of `LAUNCHERS`.
        work: As of `spread`.
        items: As of `spread`.
        workers: How many run at a time.
    """
    if launcher == "ray":
        return spread_over_ray(work, items, workers)
    return spread(work, items, workers)


def spread(
    work: functools.partial, items: list[Item], workers: int
) -> Generator[Item, None, None]:
    """Yields the results of `work(item)` as they come; close it to stop all workers.

    However this process ends, `kill -9` included, the workers end with it: each holds
    one end of a pipe whose other end only this process has. Ctrl-C does not reach
    them, so none prints a traceback. One that is only starting when this process gets
    `kill -9` may print an EOFError: Python's own, before any code of ours runs.

    Args:
        work: A function of a module, with what it needs; runs in this process if
            `workers` is 1.
        items: What it is called with.
        workers: Number of processes.

    Raises:
        WorldModelError: A worker was killed from outside.
    """
    if workers == 1 or len(items) < 2:
        yield from map(work, items)
        return
    context = get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, _end_with, (theirs,))
    try:
        with _interrupts_held():  # workers start here, and inherit that
            futures = [pool.submit(work, item) for item in items]
        for future in as_completed(futures):
            yield future.result()
        pool.shutdown()
    except BrokenProcessPool as error:
        raise WorldModelError(
            "a worker process was killed, perhaps because memory ran out; what is "
            "finished is kept: run the same command again, with fewer workers="
        ) from error
    finally:
        ours.close()  # ends whatever they are at
        pool.shutdown(cancel_futures=True)
        theirs.close()


def _end_with(lifeline: Connection) -> None:
    """Makes this worker end as soon as the other end of the pipe is closed."""

    def wait() -> None:
        lifeline.poll(None)  # nothing is ever sent: this is the end
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Holds Ctrl-C back for a moment; processes that start meanwhile never get it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
