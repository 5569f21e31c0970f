"""Makes the data of a benchmark, once for everybody who learns from it.

    tools/peers.sh full
    .venv-peers-full/bin/python -m benchmarks.peers.data pusht --out data/pusht
    … data cube --out data/cube --episodes 1000

Their scripted policy acts, their `World.collect` records. What comes of it, in `--out`:

- `recorded/`: every episode with the simulator's state, as `worldmodel` records. A kill
  loses at most ten episodes of pusht, one of cube; the same command goes on.
- `lerobot/`: the same files without our block in info.json, that is, the dataset that
  any other client would have written, which `worldmodel pretrain` reads as such.
- `train.h5`, `test.h5`: the same frames for stable-worldmodel, of the episodes that
  ours trains on, and of those that it never sees.
- `collection.json`: frames, seconds and frames per second.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.hdf5 import write_hdf5
from benchmarks.peers.recording import dataset_spec, open_world, record
from benchmarks.peers.sources import SOURCES, Source, source
from worldmodel.data import DatasetWriter, LeRobotDataset, layout, stage_episode
from worldmodel.errors import WorldModelError
from worldmodel.files.atomic import new_file
from worldmodel.hardware import hardware


def main() -> None:
    """Collects what is missing, then writes the other two forms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", choices=SOURCES)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--episodes", type=int, default=1020, help="pusht: multiple of 10"
    )
    options = parser.parse_args()
    try:
        known = source(options.source)
        collect(known, options.out, options.episodes)
        export(options.out, known)
    except (ValueError, OSError, WorldModelError) as error:
        sys.exit(str(error))


def collect(source: Source, out: Path, episodes: int) -> None:
    """Collects until there are so many episodes.

    Raises:
        ValueError: They do not fill whole batches.
    """
    at_once = source.at_once
    if episodes < 1 or episodes % at_once:
        raise ValueError(f"episodes must be a multiple of {at_once}, got {episodes}")
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    world, spec = None, dataset_spec(source)
    with DatasetWriter(out / "recorded", spec) as writer:
        for batch in sorted({i // at_once for i in writer.missing(episodes)}):
            world = world or open_world(source)
            began = time.perf_counter()
            found = record(world, source, batch)
            missing = set(writer.missing(episodes))
            for place, episode in enumerate(found, batch * at_once):
                if place in missing:
                    stage_episode(out / "recorded", spec, place, episode)
            writer.commit()
            took = time.perf_counter() - began
            _note(out / "collection.json", sum(map(len, found)), took)
            print(f"{writer.episodes} episodes, {writer.frames} frames", flush=True)


def export(out: Path, source: Source) -> None:
    """Writes the dataset as others' clients see it, and for stable-worldmodel."""
    as_others_see(out / "recorded", out / "lerobot")
    dataset = LeRobotDataset.open(out / "recorded")
    for split in ("train", "test"):
        write_hdf5(dataset, split, out / f"{split}.h5", source.parts)
    print(f"{len(dataset)} episodes, {dataset.frames} frames in {out}")


def as_others_see(recorded: Path, other: Path) -> None:
    """Links a dataset's files into another folder, whose info.json is not ours."""
    info = recorded / layout.INFO
    for file in sorted([*recorded.glob("meta/**/*.*"), *recorded.glob("data/**/*.*")]):
        if file == info:
            continue
        place = other / file.relative_to(recorded)
        if place.exists() and place.samefile(file):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        os.link(file, place)
    told = json.loads(info.read_text())
    del told["worldmodel"]
    _write_json(other / layout.INFO, told)


def _note(path: Path, frames: int, seconds: float) -> None:
    """Adds a batch to what is known of frames and time."""
    so_far: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    total = so_far.get("frames", 0) + frames
    took = so_far.get("seconds", 0.0) + seconds
    report = {
        "frames": total,
        "seconds": took,
        "frames_per_second": total / took,
        "hardware": hardware().describe(),
    }
    _write_json(path, report)


def _write_json(path: Path, value: object) -> None:
    with new_file(path) as file:
        file.write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    main()
