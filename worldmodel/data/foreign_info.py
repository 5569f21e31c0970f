"""What `meta/info.json` of any LeRobot v3 dataset says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from worldmodel.data import layout
from worldmodel.data.errors import DatasetError
from worldmodel.data.spec import ACTION_KEY, CODEBASE_VERSION, MOST, PROPRIO_KEY
from worldmodel.errors import WorldModelError
from worldmodel.files.json_file import read_object, short
from worldmodel.files.plain import whole

MEND = "download it again, or record it anew"
CONVERTER = "python -m lerobot.datasets.v30.convert_dataset_v21_to_v30 --repo-id=…"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
_PICTURES = ("image", "video")
_NUMBERS = re.compile(r"(float|int|uint)\d+")
_PLACE = re.compile(r"\{(\w+)(?::(\d{1,2})d)?\}")


@dataclass(frozen=True)
class Feature:
    """One entry of info.json's features.

    Attributes:
        key: Its name, e.g. "observation.state".
        dtype: E.g. "float32", "image", "video".
        shape: Of one row.
        names: One name for each number of a vector, where the file tells them.
        is_depth: Whether its pictures are of depth.
    """

    key: str
    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...]
    is_depth: bool = False

    @property
    def is_picture(self) -> bool:
        """Whether it holds pictures."""
        return self.dtype in _PICTURES

    @property
    def is_video(self) -> bool:
        """Whether its pictures are in video files, not in parquet."""
        return self.dtype == "video"

    @property
    def is_vector(self) -> bool:
        """Whether it holds a vector of numbers."""
        return len(self.shape) == 1 and _NUMBERS.fullmatch(self.dtype) is not None

    def pixels(self) -> tuple[int, int] | None:
        """Gives height and width of an RGB picture; None where it is of another kind.

        The channels are the last axis or the first.
        """
        if not self.is_picture or self.is_depth or len(self.shape) != 3:
            return None
        if self.shape[2] == 3:
            return self.shape[0], self.shape[1]
        return (self.shape[1], self.shape[2]) if self.shape[0] == 3 else None


@dataclass(frozen=True)
class ForeignInfo:
    """The part of `meta/info.json` that reading needs.

    Attributes:
        root: The dataset's folder.
        rate_hz: Frames, so control steps, per second [Hz].
        robot_type: The robot's name.
        features: By key.
        episodes: Number of episodes.
        frames: Number of frames of all episodes.
        data_path: Where data files are.
        video_path: Where video files are.
    """

    root: Path
    rate_hz: float
    robot_type: str
    features: Mapping[str, Feature]
    episodes: int
    frames: int
    data_path: str
    video_path: str

    @property
    def file(self) -> Path:
        """The file itself."""
        return self.root / layout.INFO

    @property
    def vectors(self) -> dict[str, int]:
        """Lengths of the vectors that are used, by key: actions, and proprio if any."""
        keys = [key for key in (ACTION_KEY, PROPRIO_KEY) if key in self.features]
        return {key: self.features[key].shape[0] for key in keys}

    @property
    def camera_keys(self) -> tuple[str, ...]:
        """Keys of the features that hold RGB pictures."""
        return tuple(key for key, f in self.features.items() if f.pixels())

    def cameras(self, names: Sequence[str]) -> tuple[Feature, ...]:
        """Gives the picture features of these names, or the only one where none is.

        Raises:
            DatasetError: There is none of a name, or several and none is named.
        """
        if names:
            return tuple(self._camera(name) for name in names)
        known = self.camera_keys
        if not known:
            raise DatasetError(
                f"{self.file}: no feature holds RGB pictures, it has "
                f"{', '.join(self.features)}"
            )
        first, *others = known
        if others:
            raise DatasetError(
                f"{self.root} has {len(known)} cameras, name one with camera=, or "
                f"several with camera=[…], of: {', '.join(known)}"
            )
        return (self.features[first],)

    def _camera(self, name: str) -> Feature:
        known = self.camera_keys
        if name in self.features and name not in known:
            feature = self.features[name]
            raise DatasetError(
                f"camera={name} of {self.root} must hold RGB pictures, got "
                f"{_kind(feature)}; such are in: {', '.join(known) or 'none'}"
            )
        if name not in known:
            raise DatasetError(
                f"unknown camera {name!r} in {self.root}, known are: "
                f"{', '.join(known) or 'none'}"
            )
        return self.features[name]

    def data_file(self, chunk: int, file: int) -> Path:
        """Gives a file with rows."""
        return self._file(self.data_path, {"chunk_index": chunk, "file_index": file})

    def video_file(self, key: str, chunk: int, file: int) -> Path:
        """Gives a file with pictures of a video feature."""
        values = {"video_key": key, "chunk_index": chunk, "file_index": file}
        return self._file(self.video_path, values)

    def _file(self, pattern: str, values: Mapping[str, object]) -> Path:
        def filled(match: re.Match[str]) -> str:
            if match[1] not in values:
                raise DatasetError(
                    f"{self.file}: a path may name {', '.join(values)}, got {pattern!r}"
                )
            return str(values[match[1]]).zfill(int(match[2] or 0))

        path = PurePosixPath(_PLACE.sub(filled, pattern))
        if path.is_absolute() or ".." in path.parts:
            raise DatasetError(
                f"{self.file}: a path must stay in the dataset's folder, got "
                f"{pattern!r}"
            )
        return self.root / path


def read_foreign_info(root: Path) -> ForeignInfo:
    """Gives what `meta/info.json` says.

    Raises:
        DatasetError: It is missing, damaged, or of another version of the format.
    """
    path = root / layout.INFO
    try:
        return _parsed(root, read_object(path))
    except FileNotFoundError as error:
        raise DatasetError(f"{root} is no dataset: {path} is missing") from error
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error
    except WorldModelError as error:  # begins with the path, or with a field
        text = str(error).removeprefix(f"{path} ")
        raise DatasetError(f"{path}: {text}: {MEND}") from error


def check_version(version: object) -> None:
    """Checks a dataset's codebase_version.

    Raises:
        DatasetError: It is another; for an older one the message names the converter.
    """
    if version == CODEBASE_VERSION:
        return
    if isinstance(version, str) and version.startswith(("v1", "v2")):
        raise DatasetError(
            f"the dataset has codebase_version {version!r}, {CODEBASE_VERSION!r} is "
            f"read: bring it there with LeRobot's converter, `{CONVERTER}`"
        )
    raise DatasetError(
        f"codebase_version must be {CODEBASE_VERSION!r}, got {short(version)}"
    )


def _parsed(root: Path, info: Mapping[str, Any]) -> ForeignInfo:
    check_version(info.get("codebase_version"))
    features = info.get("features")
    if not isinstance(features, Mapping) or not features:
        raise DatasetError(f"features must be an object, got {short(features)}")
    known = {str(key): _feature(str(key), value) for key, value in features.items()}
    if ACTION_KEY not in known:
        raise DatasetError(
            f"feature {ACTION_KEY!r} is missing, it has {', '.join(known)}"
        )
    for key in (ACTION_KEY, PROPRIO_KEY):
        feature = known.get(key)
        if feature is not None and not feature.is_vector:
            raise DatasetError(
                f"features.{key} must be a vector of numbers, got {_kind(feature)}"
            )
    return ForeignInfo(
        root=root,
        rate_hz=_rate(info.get("fps")),
        robot_type=str(info.get("robot_type") or "unknown"),
        features=known,
        episodes=whole(info.get("total_episodes"), "total_episodes", 0),
        frames=whole(info.get("total_frames"), "total_frames", 0),
        data_path=_pattern(info, "data_path", layout.DATA_PATH),
        video_path=_pattern(info, "video_path", VIDEO_PATH),
    )


def _rate(fps: object) -> float:
    is_number = isinstance(fps, int | float) and not isinstance(fps, bool)
    if not is_number or not 0 < fps < 1e6:  # type: ignore[operator]
        raise DatasetError(f"fps must be a number above 0, got {short(fps)}")
    return float(fps)  # type: ignore[arg-type]


def _pattern(info: Mapping[str, Any], name: str, default: str) -> str:
    value = info.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or not value:
        raise DatasetError(f"{name} must be a text, got {short(value)}")
    return value


def _feature(key: str, value: object) -> Feature:
    """Gives a feature; of one that is malformed the shape is (), so it has no use."""
    values = value if isinstance(value, Mapping) else {}
    shape = values.get("shape")
    sides = shape if isinstance(shape, list) else []
    if not all(type(side) is int and 1 <= side <= MOST for side in sides):
        sides = []
    told = [values.get("info"), values.get("video_info")]
    notes = {
        k: v for some in told if isinstance(some, Mapping) for k, v in some.items()
    }
    is_depth = bool(notes.get("is_depth_map") or notes.get("video.is_depth_map"))
    names = _names(key, values.get("names"), sides[0]) if len(sides) == 1 else ()
    dtype = str(values.get("dtype"))
    return Feature(key, dtype, tuple(sides), names, is_depth)


def _names(key: str, told: object, size: int) -> tuple[str, ...]:
    """Gives a name for each number of a vector; numbered ones where none are told."""
    names = _flat(told)
    if len(names) == size and len(set(names)) == size:
        return tuple(names)
    return tuple(f"{key.rpartition('.')[2]}_{place}" for place in range(size))


def _flat(told: object) -> list[str]:
    """Gives the texts of a list, of lists, or of a mapping such as {"motors": […]}."""
    if isinstance(told, str):
        return [told]
    if isinstance(told, Mapping):
        inner = [name for value in told.values() for name in _flat(value)]
        return inner or [str(key) for key in told]
    if isinstance(told, list):
        return [name for value in told for name in _flat(value)]
    return []


def _kind(feature: Feature) -> str:
    depth = "depth in " if feature.is_depth else ""
    return f"{depth}{feature.dtype} of shape {list(feature.shape)}"
