"""Play on all cores straight into arrays, for a machine that is lent for minutes."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from envs.play import PlayMix
from envs.recording import PROPRIO_NAMES, PlayRecorder
from envs.scene import scene_hash
from envs.simulation import ACTION_SPEC, Simulation
from worldmodel.action_spec import ActionSpec
from worldmodel.data import DatasetSpec, FrameCache

STEPS = 48  # control steps of an episode
SIDE = 96  # of a picture [px]
_DONE = "done"
_LEFT_OUT = 20.0  # seconds after the limit in which a process must have ended


class PlayArrays:
    """Episodes of play, recorded by processes of their own until a time limit.

    Args:
        folder: of the arrays; 1.4 MB an episode, best in memory (/dev/shm).
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._seconds = folder, 0.0
        self._processes: list[subprocess.Popen[bytes]] = []

    def record(self, episodes: int, seconds: float, workers: int, seed: int) -> None:
        """Starts to record anew.

        Args:
            episodes: at most so many.
            seconds: how long to record [s].
            workers: processes.
            seed: decides starts, behaviours and noise.
        """
        folder, self._seconds = self.folder, seconds
        folder.mkdir(parents=True, exist_ok=True)
        for name, (kind, shape) in _layout().items():
            open_memmap(folder / f"{name}.npy", "w+", kind, (episodes * STEPS, *shape))
        np.save(folder / f"{_DONE}.npy", np.zeros(episodes, np.bool_))
        until = time.time() + seconds
        words = [str(folder), str(seed), str(until), str(workers)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.jepa_play", *words, str(worker)],
                env=environment,
            )
            for worker in range(workers)
        ]

    def finish(self) -> FrameCache:
        """Waits for the processes and gives the episodes that are whole.

        Raises:
            RuntimeError: a process failed, or none finished an episode.
        """
        codes = [p.wait(self._seconds + _LEFT_OUT) for p in self._processes]
        done = np.flatnonzero(np.load(self.folder / f"{_DONE}.npy"))
        if any(codes) or not len(done):
            raise RuntimeError(
                f"{len(done)} episodes of play recorded, processes ended with {codes}"
            )
        rows = (done[:, None] * STEPS + np.arange(STEPS)).ravel()
        arrays = {
            name: np.load(self.folder / f"{name}.npy", mmap_mode="r")[rows]
            for name in _layout()
        }
        return FrameCache(
            path=self.folder,
            spec=play_spec(),
            fingerprint="",
            episodes=done,
            offsets=np.arange(len(done) + 1) * STEPS,
            **arrays,
        )


def _layout() -> dict[str, tuple[type, tuple[int, ...]]]:
    spec = play_spec()
    return {
        "frames": (np.uint8, (spec.height, spec.width, 3)),
        "actions": (np.float32, (spec.action_spec.size,)),
        "proprio": (np.float32, (len(spec.proprio_names),)),
        "sim_state": (np.float64, (spec.sim_state_size,)),
    }


def play_spec() -> DatasetSpec:
    """What the episodes have in common."""
    return DatasetSpec(
        height=SIDE,
        width=SIDE,
        proprio_names=PROPRIO_NAMES,
        sim_state_size=Simulation().state_size,
        action_spec=ActionSpec.from_json(ACTION_SPEC),
        collection={"steps": STEPS, "scene": scene_hash()},
    )


def _work(folder: Path, seed: int, until: float, workers: int, worker: int) -> None:
    recorder = PlayRecorder(PlayMix(), seed, STEPS, SIDE, SIDE)
    names = (*_layout(), _DONE)
    arrays = {n: np.load(folder / f"{n}.npy", mmap_mode="r+") for n in names}
    for index in range(worker, len(arrays[_DONE]), workers):
        if time.time() > until:
            return
        recording = recorder.record(index)
        for name in _layout():
            rows = slice(index * STEPS, (index + 1) * STEPS)
            arrays[name][rows] = getattr(recording, name)
        arrays[_DONE][index] = True


def main() -> None:
    """One process of `PlayArrays`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for name, kind in (("seed", int), ("until", float), ("workers", int)):
        parser.add_argument(name, type=kind)
    parser.add_argument("worker", type=int)
    _work(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
