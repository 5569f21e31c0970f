"""One thread for each process, so that suites side by side do not fight for cores.

Idle threads of OpenMP and BLAS spin, and what tests compute is too small to share out.
Tests about threads ask for them; OMP_NUM_THREADS and the like still win.
"""

import gc
import os
from collections.abc import Iterator

# before numpy or torch is imported; also for the processes that tests start
for library in ("OMP", "MKL", "OPENBLAS"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # where there are two, none spins

import pytest  # noqa: E402
import torch  # noqa: E402

from envs.graphics import select_backend  # noqa: E402

select_backend()  # before any test imports mujoco


def pytest_collection_finish() -> None:
    """Spares the collector of garbage what stays to the end: torch, and the tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def fast_disk() -> Iterator[None]:
    """Waits for no disk: a kill, unlike a power cut, spares what was written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Runs a test on one thread of torch, and on two."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)
