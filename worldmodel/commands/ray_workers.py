"""Work spread over a Ray cluster, whose machines share the folder that is written."""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Callable, Generator
from types import ModuleType
from typing import Any, TypeVar

from worldmodel.errors import OptionError, WorldModelError

ADDRESS = "RAY_ADDRESS"  # Ray's own variable: the cluster to join
ANSWER_S = 10.0  # within which it has to answer [s]
Item = TypeVar("Item")


def spread_over_ray(
    work: functools.partial, items: list[Item], workers: int
) -> Generator[Item, None, None]:
    """Yields the results of `work(item)` as they come; close it to cancel the rest.

    Joins the cluster that `RAY_ADDRESS` names, and otherwise starts one on this machine
    that ends with this process.

    Args:
        work: A function of a module that every machine has, with what it needs.
        items: What it is called with.
        workers: How many run at a time, a processor for each.

    Raises:
        OptionError: Ray is not installed.
        WorldModelError: The cluster cannot be reached, or a worker was killed.
    """
    ray = _ray()
    _join(ray, workers)
    call = ray.remote(num_cpus=1, max_retries=0)(_plain(work))
    waiting, running = list(reversed(items)), []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(call.remote(waiting.pop()))
            done, running = ray.wait(running)
            yield _result(ray, done[0])
    finally:
        for task in running:
            ray.cancel(task, force=True)
        ray.shutdown()


def _plain(work: functools.partial) -> Callable[[Any], Any]:
    """A function, which Ray asks for, of a partial one."""

    def call(item: Any) -> Any:
        return work(item)

    return call


def _ray() -> ModuleType:
    try:
        import ray
    except ImportError as error:
        raise OptionError(
            "launcher=ray needs Ray: pip install worldmodel-planner[ray], or take "
            "launcher=processes"
        ) from error
    return ray


def _join(ray: ModuleType, workers: int) -> None:
    address = os.environ.get(ADDRESS)
    options = {} if address else {"num_cpus": workers, "include_dashboard": False}
    try:
        if address:
            _require_answer(address)  # Ray itself tries for minutes
        ray.init(log_to_driver=False, logging_level="error", **options)
    except (OSError, ValueError, RuntimeError) as error:
        where = f"the Ray cluster at {ADDRESS}={address}" if address else "Ray"
        raise WorldModelError(
            f"{where} cannot be reached ({str(error).splitlines()[0]}); start one with "
            f"`ray start --head`, or unset {ADDRESS} for one on this machine"
        ) from error


def _require_answer(address: str) -> None:
    """Raises OSError if nothing listens at an address like ray://host:port."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), ANSWER_S).close()


def _result(ray: ModuleType, task: object) -> Any:
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise WorldModelError(
            "a worker of the Ray cluster was killed, perhaps because memory ran out; "
            "what is finished is kept: run the same command again, with fewer workers="
        ) from error
