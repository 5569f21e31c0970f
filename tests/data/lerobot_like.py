"""Small datasets laid out as LeRobot's client does, and changes to such files."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.damage import set_json

INFO = "meta/info.json"
RECORDS = "meta/episodes/chunk-000/file-000.parquet"
DATA = "data/chunk-000/file-000.parquet"
TASKS = "meta/tasks.parquet"
CAMERA = "observation.images.top"
VIDEO = f"videos/{CAMERA}/chunk-000/file-000.mp4"
REAL = Path(__file__).parent / "lerobot"  # written by the real client


@dataclass(frozen=True)
class Made:
    """What is written; each frame has one colour, which tells episode and step.

    `codec` of None stores PNG in parquet, "JPEG" and "PNG" name a picture format.
    """

    lengths: tuple[int, ...] = (5, 3, 7)
    fps: Any = 10
    codec: str = "PNG"
    height: int = 32
    width: int = 48
    state: int = 3
    group: int = 1000  # rows in a row group
    features: dict[str, Any] = field(default_factory=dict)

    @property
    def is_video(self) -> bool:
        return self.codec.startswith("lib")

    def colour(self, episode: int, step: int) -> tuple[int, int, int]:
        return (40 + 50 * episode) % 256, (20 + 15 * step) % 256, 128


def write(root: Path, made: Made) -> Path:
    """Writes one data file, one video file where there are videos, and the rest."""
    count = sum(made.lengths)
    episode = np.repeat(np.arange(len(made.lengths)), made.lengths)
    step = np.concatenate([np.arange(length) for length in made.lengths])
    rng = np.random.default_rng(0)
    columns = {
        "action": _lists(rng.uniform(-3, 5, (count, 2)).astype(np.float32)),
        "timestamp": pa.array((step / made.fps).astype(np.float32)),
        "frame_index": pa.array(step),
        "episode_index": pa.array(episode),
        "index": pa.array(np.arange(count)),
        "task_index": pa.array(episode % 2),
    }
    if made.state:
        values = rng.normal(size=(count, made.state)).astype(np.float32)
        is_scalar = made.state == 1  # as the client stores a vector of one number
        column = pa.array(values[:, 0]) if is_scalar else _lists(values)
        columns["observation.state"] = column
    frames = [_frame(made, int(e), int(s)) for e, s in zip(episode, step, strict=True)]
    for name in (INFO, RECORDS, DATA, VIDEO):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
    if made.is_video:
        film(root / VIDEO, frames, made)
    else:
        rows = [
            {"bytes": _encoded(frame, made.codec), "path": None} for frame in frames
        ]
        kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        columns[CAMERA] = pa.array(rows, kind)
    pq.write_table(pa.table(columns), root / DATA, row_group_size=made.group)
    _write_meta(root, made)
    return root


def film(path: Path, frames: list[np.ndarray], made: Made) -> None:
    """Writes an mp4 of frames."""
    with av.open(str(path), "w") as file:
        rate = Fraction(made.fps).limit_denominator(1001)
        options = {"svtav1-params": "lp=1", "x265-params": "log-level=none:pools=1"}
        stream: Any = file.add_stream(made.codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = made.width, made.height, "yuv420p"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())


def change_info(root: Path, path: str, value: object) -> None:
    """Sets a value at e.g. "features/action/shape"; a value of ... takes it away."""
    set_json(root / INFO, path, value)


def change(file: Path, key: str, edit: Callable[[list], Any]) -> None:
    """Changes a column, as a list, of a Parquet file; one of None is taken away."""
    table = pq.read_table(file)
    place = table.column_names.index(key)
    values = edit(table[key].to_pylist())
    if values is None:
        pq.write_table(table.remove_column(place), file)
        return
    kind = table.schema.field(key).type
    column = values if isinstance(values, pa.Array) else pa.array(values, kind)
    pq.write_table(table.set_column(place, key, column), file)


def change_rows(file: Path, edit: Callable[[pa.Table], pa.Table]) -> None:
    """Changes the rows of a Parquet file."""
    pq.write_table(edit(pq.read_table(file)), file)


def _frame(made: Made, episode: int, step: int) -> np.ndarray:
    shape = (made.height, made.width, 3)
    return np.broadcast_to(np.array(made.colour(episode, step), np.uint8), shape).copy()


def _encoded(frame: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, kind)
    return file.getvalue()


def _lists(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def _write_meta(root: Path, made: Made) -> None:
    ends = np.cumsum(made.lengths)
    records: dict[str, Any] = {
        "episode_index": np.arange(len(ends)),
        "length": np.array(made.lengths),
        "data/chunk_index": np.zeros(len(ends), int),
        "data/file_index": np.zeros(len(ends), int),
        "dataset_from_index": ends - made.lengths,
        "dataset_to_index": ends,
    }
    if made.is_video:
        times = {"from_timestamp": ends - made.lengths, "to_timestamp": ends}
        for name, frames in times.items():
            records[f"videos/{CAMERA}/{name}"] = frames / made.fps
        for name in ("chunk_index", "file_index"):
            records[f"videos/{CAMERA}/{name}"] = np.zeros(len(ends), int)
    tasks = [["push"] if i % 2 == 0 else ["lift"] for i in range(len(ends))]
    pq.write_table(pa.table({**records, "tasks": tasks}), root / RECORDS)
    words = pa.table({"task_index": [1, 0], "__index_level_0__": ["lift", "push"]})
    pq.write_table(words, root / TASKS)
    picture = {"dtype": "video" if made.is_video else "image"}
    picture |= {"shape": [made.height, made.width, 3], "names": None}
    features: dict[str, Any] = {CAMERA: picture, "action": _vector(2)}
    features |= {"observation.state": _vector(made.state)} if made.state else {}
    counters = ("timestamp", "frame_index", "episode_index", "index", "task_index")
    features |= {key: {**_vector(1), "dtype": "int64"} for key in counters}
    info = {
        "codebase_version": "v3.0",
        "robot_type": None,
        "fps": made.fps,
        "features": features | made.features,
        "total_episodes": len(ends),
        "total_frames": int(ends[-1]),
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/"
        "file-{file_index:03d}.mp4",
    }
    (root / INFO).write_text(json.dumps(info))


def _vector(size: int) -> dict[str, Any]:
    return {"dtype": "float32", "shape": [size], "names": None}
