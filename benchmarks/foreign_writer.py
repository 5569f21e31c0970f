"""Writes the datasets of `benchmarks.foreign_kinds` with the real LeRobot client.

    CLIENT/bin/python -m benchmarks.foreign_writer FOLDER

Runs in an environment with `pip install lerobot[dataset]`, which has nothing of ours.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from lerobot.configs.video import RGBEncoderConfig  # pyright: ignore
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # pyright: ignore

from benchmarks.foreign_kinds import KINDS, Kind, colour

DEPTH = "observation.depth.top"


def features(kind: Kind) -> dict[str, dict]:
    """Gives what the client is told of a dataset's columns."""
    names = [f"joint_{place}" for place in range(kind.action)]
    found: dict[str, dict] = {
        "action": {"dtype": "float32", "shape": (kind.action,), "names": names}
    }
    if kind.state:
        found["observation.state"] = {
            "dtype": "float32",
            "shape": (kind.state,),
            "names": {"motors": [f"motor_{place}" for place in range(kind.state)]},
        }
    dtype = "image" if kind.codec is None else "video"
    for key, height, width in kind.cameras:
        shape, axes = (height, width, 3), ["height", "width", "channels"]
        if kind.channels_first:
            shape, axes = (3, height, width), ["channels", "height", "width"]
        found[key] = {"dtype": dtype, "shape": shape, "names": axes}
    if kind.depth:
        _, height, width = kind.cameras[0]
        found[DEPTH] = {
            "dtype": "video",
            "shape": (height, width, 1),
            "names": ["height", "width", "channels"],
            "info": {"is_depth_map": True},
        }
    if kind.extra:
        found["next.done"] = {"dtype": "bool", "shape": (1,), "names": None}
        found["note"] = {"dtype": "string", "shape": (1,), "names": None}
        touch = {"dtype": "float32", "shape": (4, 5), "names": None}
        found["observation.touch"] = touch
        found["observation.count"] = {"dtype": "int64", "shape": (1,), "names": None}
    return found


def frame(kind: Kind, episode: int, step: int, motion: np.ndarray) -> dict:
    """Gives a frame as the client takes it; actions are where to be next."""
    values: dict = {
        "action": motion[step + 1, : kind.action].astype(np.float32),
        "task": f"task {episode % kind.tasks}",
    }
    if kind.state:
        values["observation.state"] = motion[step, : kind.state].astype(np.float32)
    for place, (key, height, width) in enumerate(kind.cameras):
        picture = picture_of(kind, colour(place, episode, step), (height, width))
        values[key] = picture.transpose(2, 0, 1) if kind.channels_first else picture
    if kind.depth:
        _, height, width = kind.cameras[0]
        values[DEPTH] = np.full((height, width, 1), 500 + 10 * step, np.uint16)
    if kind.extra:
        values["next.done"] = np.array([step == 0])
        values["note"] = f"step {step}"
        values["observation.touch"] = np.full((4, 5), step, np.float32)
        values["observation.count"] = np.array([step], np.int64)
    return values


def picture_of(
    kind: Kind, shade: tuple[int, int, int], size: tuple[int, int]
) -> np.ndarray:
    """Gives a picture of one colour, with noise around it where the kind has some."""
    rng = np.random.default_rng(sum(shade))
    noise = rng.integers(-kind.noise, kind.noise + 1, (*size, 3))
    return (np.array(shade) + noise).astype(np.uint8)


def write(kind: Kind, folder: Path) -> None:
    """Records a dataset, all of it by the client."""
    encoder = None
    if kind.codec is not None:
        encoder = RGBEncoderConfig(
            vcodec=kind.codec,
            pix_fmt=kind.pixels,
            g=kind.keyframes,
            crf=10 if kind.noise else 30,  # so that noise stays
        )
    dataset = LeRobotDataset.create(
        f"made/{kind.name}",
        kind.fps,
        features(kind),
        root=folder,
        robot_type="made",
        use_videos=kind.codec is not None or kind.depth,
        rgb_encoder=encoder,
    )
    if kind.megabytes is not None:
        dataset.meta.update_chunk_settings(kind.chunk, kind.megabytes, kind.megabytes)
    rng = np.random.default_rng(0)
    wide = max(kind.action, kind.state, 1)
    for episode, length in enumerate(kind.lengths):
        steps = rng.uniform(-0.2, 0.2, (length + 1, wide))
        motion = np.sin(steps.cumsum(axis=0)) * kind.reach
        for step in range(length):
            dataset.add_frame(frame(kind, episode, step, motion))
        dataset.save_episode()
    dataset.finalize()


def main() -> None:
    """Writes those that are not there yet."""
    out = Path(sys.argv[1])
    only = sys.argv[2:]
    for kind in KINDS:
        if (out / kind.name).exists() or (only and kind.name not in only):
            continue
        with tempfile.TemporaryDirectory(dir=out) as staging:
            try:
                write(kind, Path(staging) / kind.name)
            except (ValueError, TypeError, RuntimeError, KeyError, OSError) as error:
                print(f"{kind.name}: the client: {error}", file=sys.stderr)
                continue
            shutil.move(Path(staging) / kind.name, out / kind.name)
        print(f"{kind.name} written", flush=True)


if __name__ == "__main__":
    main()
