"""How fast a large dataset of videos is read, beside what training takes of it.

    python -m benchmarks.reading --out runs/reading --frames 100000 --codec libsvtav1

Writes a dataset in LeRobot format v3 (film files of 1000 frames each, two episodes in
each, a key frame every two frames as the client has them), all films with the same
pictures. Then, in a process of its own and without a decoded cache: seconds from the
start of Python to the first batch of windows and to later ones, and the greatest
resident memory.

And windows/s: those that a step of `worldmodel pretrain` takes by default, with all
that goes with them, its time measured on frames in memory; those that reading gives
while nothing is decoded (cold: the first batch), once all that is asked for is (warm),
and while only --kept of the frames are kept (limited). In a run every frame is decoded
once at most, and read from the cache after that: `of_a_run` is what reading gives on
its average. `decoded_of_step` is how many times as fast as a step the frames of a step,
and no others, would be decoded one after the other: more than cold reading can reach,
in whatever order. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from worldmodel.commands.compose import compose_config
from worldmodel.commands.instantiate import instantiate
from worldmodel.data import FrameCache, View, open_dataset
from worldmodel.training.jepa import Batches, JEPARecipe, train_jepa

CAMERA = "observation.images.top"
FILM = 1000  # frames
EPISODES = 2  # in a film
RATE = 10  # [Hz]
SIZE = (480, 640)  # of a picture, height and width [px]
BATCH, LENGTH = 20, 3  # windows of a batch of the process, and their frames
CPU = torch.device("cpu")
ENCODER = 96  # side of what an encoder sees [px]


def write(root: Path, frames: int, codec: str) -> None:
    """Writes the dataset."""
    films = -(-frames // FILM)
    staging = root.with_name(f"{root.name}-staging")
    shutil.rmtree(staging, ignore_errors=True)
    videos = staging / f"videos/{CAMERA}/chunk-000"
    for folder in (videos, staging / "data/chunk-000", staging / "meta/episodes"):
        folder.mkdir(parents=True)
    write_film(videos / "file-000.mp4", codec)
    for film in range(1, films):
        shutil.copyfile(videos / "file-000.mp4", videos / f"file-{film:03d}.mp4")
    length, count = FILM // EPISODES, films * EPISODES
    step, episode = np.tile(np.arange(length), count), np.arange(count).repeat(length)
    motion = np.random.default_rng(0).uniform(-1, 1, (len(step), 7)).astype(np.float32)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(motion.ravel()), 7)
    columns: dict[str, Any] = {"action": vectors, "observation.state": vectors}
    columns |= {"timestamp": (step / RATE).astype(np.float32), "frame_index": step}
    columns |= {"episode_index": episode, "index": np.arange(len(step))}
    pq.write_table(pa.table(columns), staging / "data/chunk-000/file-000.parquet")
    first = np.arange(count) * length
    begin = first % FILM / RATE
    video, nothing = f"videos/{CAMERA}", np.zeros(count, int)
    records = {
        "episode_index": np.arange(count),
        "length": np.full(count, length),
        "data/chunk_index": nothing,
        "data/file_index": nothing,
        "dataset_from_index": first,
        "dataset_to_index": first + length,
        f"{video}/chunk_index": nothing,
        f"{video}/file_index": first // FILM,
        f"{video}/from_timestamp": begin,
        f"{video}/to_timestamp": begin + length / RATE,
    }
    pq.write_table(pa.table(records), staging / "meta/episodes/file-000.parquet")
    vector = {"dtype": "float32", "shape": [7], "names": None}
    picture = {"dtype": "video", "shape": [*SIZE, 3], "names": None}
    info = {
        "codebase_version": "v3.0",
        "fps": RATE,
        "features": {CAMERA: picture, "action": vector, "observation.state": vector},
        "total_episodes": count,
        "total_frames": len(step),
    }
    (staging / "meta/info.json").write_text(json.dumps(info))
    staging.rename(root)


def write_film(path: Path, codec: str) -> None:
    """Writes squares that move before a rough background."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 120, (SIZE[0] // 8, SIZE[1] // 8, 3), np.uint8)
    ground = ground.repeat(8, axis=0).repeat(8, axis=1)
    begin, speed = rng.uniform(0, 400, (5, 2)), rng.uniform(-6, 6, (5, 2))
    with av.open(str(path), "w") as file:
        options = {"g": "2", "crf": "30", "preset": "12"}
        if codec != "libsvtav1":
            options["preset"] = "veryfast"
        stream: Any = file.add_stream(codec, rate=Fraction(RATE), options=options)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        for step in range(FILM):
            frame = ground.copy()
            for place, (row, column) in enumerate((begin + step * speed).astype(int)):
                row, column = row % (SIZE[0] - 60), column % (SIZE[1] - 60)
                frame[row : row + 60, column : column + 60] = 50 * place + 55
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())


MEASURE = """
import json, resource, sys, time
begin = time.monotonic()
import torch
from pathlib import Path
from worldmodel.data import FrameCache, View, Windows, open_dataset
root, cache, side, batch, length, later = json.loads(sys.argv[1])
dataset = open_dataset(root, View(height=side, width=side))
opened = time.monotonic() - begin
frames = FrameCache.open(dataset, Path(cache))
windows = Windows(frames, "train", length)
generator = torch.Generator().manual_seed(0)
windows.sample(1, generator)
first = time.monotonic() - begin
times = []
for _ in range(later):
    before = time.monotonic()
    windows.sample(batch, generator)
    times.append(time.monotonic() - before)
print(json.dumps({
    "opened_s": round(opened, 2),
    "first_window_s": round(first, 2),
    "first_batch_s": round(times[0], 2),
    "batch_s": round(sum(times) / len(times), 3),
    "most_memory_gib": round(
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2
    ),
}))
"""


def recipe_of(steps: int | None = None) -> JEPARecipe:
    """The default one of `pretrain`, cut to so many steps."""
    options = [] if steps is None else [f"recipe.schedule.steps={steps}"]
    return instantiate(compose_config("pretrain", ["data=none", *options]).recipe)


def step_seconds(cache: FrameCache, steps: int) -> float:
    """Median time of a step of pretraining [s], frames in memory."""
    offsets = cache.offsets[: EPISODES * 2 + 1]
    rows = slice(0, int(offsets[-1]))
    small = replace(
        cache,
        frames=np.array(cache.frames[rows]),
        episodes=cache.episodes[: len(offsets) - 1],
        offsets=offsets,
        **{name: getattr(cache, name)[rows] for name in ("actions", "proprio")},
        sim_state=cache.sim_state[rows],
    )
    times: list[float] = []
    train_jepa(
        recipe_of(steps),
        small,
        CPU,
        on_step=lambda step, terms: times.append(time.perf_counter()),
    )
    return float(np.median(np.diff(times)))


def frames_of_step(recipe: JEPARecipe) -> int:
    """Frames that a step takes: windows with the one before, later pairs, clips."""
    alone = recipe.windows * (recipe.window + 1 + 2)
    return alone + recipe.clips * recipe.clip_frames


def read_seconds(cache: FrameCache, batches: int, seed: int) -> float:
    """Mean time of reading what a step takes [s]."""
    generator = torch.Generator().manual_seed(seed)
    drawn = Batches(recipe_of(), cache, CPU)
    begin = time.perf_counter()
    for _ in range(batches):
        drawn.draw(generator)
    return (time.perf_counter() - begin) / batches


def paces(root: Path, folder: Path, batches: int, kept: float) -> dict[str, float]:
    """Windows/s of reading and of training, and what follows for a whole run."""
    dataset = open_dataset(root, View(height=ENCODER, width=ENCODER))
    recipe = recipe_of()
    cache = FrameCache.open(dataset, folder)
    cold = read_seconds(cache, 1, seed=0)
    read_seconds(cache, batches, seed=0)
    warm = read_seconds(cache, batches, seed=0)
    step = step_seconds(cache, batches)
    limit = int(kept * np.prod(cache.frames.shape))
    few = FrameCache.open(dataset, folder, limit=limit)
    count = int(kept * len(few.frames))
    begin = time.perf_counter()
    few.frames[:count]  # full
    decode = (time.perf_counter() - begin) / count  # of a frame
    limited = read_seconds(few, batches, seed=1)
    whole = len(cache.frames) * decode + recipe.schedule.steps * warm
    found = {"step": step, "cold": cold, "warm": warm, "limited": limited}
    found["of_a_run"] = whole / recipe.schedule.steps
    found["decoded"] = frames_of_step(recipe) * decode
    rates = {f"{n}_windows_s": round(recipe.windows / s, 1) for n, s in found.items()}
    return {
        **rates,
        "frames_of_step": frames_of_step(recipe),
        "decoded_frames_s": round(1 / decode, 1),
        **{f"{n}_of_step": round(step / s, 2) for n, s in found.items() if n != "step"},
    }


def main() -> None:
    """Writes what is missing, measures, and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/reading"))
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--codec", default="libsvtav1")
    parser.add_argument("--later", type=int, default=20, help="batches that are timed")
    parser.add_argument("--kept", type=float, default=0.5, help="share of all frames")
    options = parser.parse_args()
    root = options.out / f"{options.codec}-{options.frames}"
    root.parent.mkdir(parents=True, exist_ok=True)
    if not root.is_dir():
        begin = time.monotonic()
        write(root, options.frames, options.codec)
        print(f"written in {time.monotonic() - begin:.0f} s", file=sys.stderr)
    cache = options.out / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    given = [str(root), str(cache), ENCODER, BATCH, LENGTH, options.later]
    words = [sys.executable, "-c", MEASURE, json.dumps(given)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    shutil.rmtree(cache, ignore_errors=True)
    found = {"frames": options.frames, **json.loads(done.stdout)}
    found |= paces(root, cache, options.later, options.kept)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
