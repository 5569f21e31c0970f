"""What every episode of a dataset has in common, and how `meta/info.json` says it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from worldmodel.action_spec import ActionSpec
from worldmodel.data.episode import Episode
from worldmodel.data.errors import DatasetError
from worldmodel.errors import WorldModelError
from worldmodel.files.json_file import short

MOST = 1_000_000  # of a side of a frame, or of a vector
CODEBASE_VERSION = "v3.0"  # of the LeRobot dataset format
FORMAT_VERSION = 1  # of our own block in info.json
IMAGE_KEY = "observation.images.left"
PROPRIO_KEY = "observation.state"
ACTION_KEY = "action"
SIM_STATE_KEY = "sim_state"
SPEC_KEYS = ("codebase_version", "robot_type", "fps", "features", "worldmodel")
COUNTERS = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
RECORDED_KEYS = (IMAGE_KEY, PROPRIO_KEY, ACTION_KEY, SIM_STATE_KEY)
KEYS = (*RECORDED_KEYS, *COUNTERS)


@dataclass(frozen=True)
class DatasetSpec:
    """What every episode of a dataset has in common.

    Attributes:
        height: Rows of a frame [pixels].
        width: Columns of a frame [pixels].
        proprio_names: One name for each proprio dimension.
        sim_state_size: Length of the simulator's state vector; 0 where there is none.
        action_spec: What an action means; its rate is the frame rate [Hz] where its
            block is 1.
        collection: Plain JSON that, with an episode's index, determines the episode
            (behaviour mix, seed). How many episodes are wanted is not part of it.
        robot_type: The robot's name.
        cameras: Keys of the pictures that make up a frame, from left to right.
    """

    height: int
    width: int
    proprio_names: tuple[str, ...]
    sim_state_size: int
    action_spec: ActionSpec
    collection: Mapping[str, Any] = field(default_factory=dict)
    robot_type: str = "panda"
    cameras: tuple[str, ...] = (IMAGE_KEY,)

    def __post_init__(self) -> None:
        """Checks sizes."""
        for name, least in (("height", 1), ("width", 1), ("sim_state_size", 0)):
            if getattr(self, name) < least:
                raise DatasetError(
                    f"{name} must be at least {least}, got {getattr(self, name)}"
                )

    def require_storable(self) -> None:
        """Checks that the format that `DatasetWriter` writes can hold such episodes.

        Raises:
            DatasetError: It cannot; the message says what.
        """
        if self.sim_state_size < 1:
            raise DatasetError(
                f"sim_state_size must be at least 1, got {self.sim_state_size}"
            )
        if not self.proprio_names:
            raise DatasetError("proprio_names must not be empty")
        if self.action_spec.block != 1:
            raise DatasetError(
                "a dataset holds every control step, so block must be 1, got "
                f"{self.action_spec.block}"
            )
        if self.action_spec.rate_hz != round(self.action_spec.rate_hz):
            raise DatasetError(
                "the dataset format holds whole frame rates only, got "
                f"rate_hz={self.action_spec.rate_hz}"
            )

    @property
    def fps(self) -> int | float:
        """Frames per second [Hz]; a whole number where it is one."""
        rate = self.action_spec.rate_hz / self.action_spec.block
        return int(rate) if rate == int(rate) else rate

    @property
    def sizes(self) -> dict[str, int]:
        """Length of a row of each vector feature, by its key."""
        return {
            PROPRIO_KEY: len(self.proprio_names),
            ACTION_KEY: self.action_spec.size,
            SIM_STATE_KEY: self.sim_state_size,
        }

    def check(self, episode: Episode) -> None:
        """Checks that an episode has the sizes of this dataset.

        Raises:
            DatasetError: It has not; the message says which and what was expected.
        """
        shape = (self.height, self.width, 3)
        if episode.frames.shape[1:] != shape:
            raise DatasetError(
                f"frames must be {shape} each, got {episode.frames.shape[1:]}"
            )
        rows = {
            PROPRIO_KEY: episode.proprio,
            ACTION_KEY: episode.actions,
            SIM_STATE_KEY: episode.sim_state,
        }
        for key, size in self.sizes.items():
            if rows[key].shape[1] != size:
                raise DatasetError(
                    f"{key} must have {size} dimensions, got {rows[key].shape[1]}"
                )

    def to_info(self) -> dict[str, Any]:
        """Gives the part of `meta/info.json` that does not change with the episodes.

        Raises:
            DatasetError: The format cannot hold such episodes.
        """
        self.require_storable()
        vectors = {
            PROPRIO_KEY: ("float32", self.proprio_names),
            ACTION_KEY: ("float32", self.action_spec.names),
            SIM_STATE_KEY: ("float64", None),
        }
        features: dict[str, Any] = {
            IMAGE_KEY: {
                "dtype": "image",
                "shape": [self.height, self.width, 3],
                "names": ["height", "width", "channels"],
            }
        }
        for key, (dtype, names) in vectors.items():
            labels = list(names) if names is not None else None
            features[key] = {
                "dtype": dtype,
                "shape": [self.sizes[key]],
                "names": labels,
            }
        for key, dtype in COUNTERS.items():
            features[key] = {"dtype": dtype, "shape": [1], "names": None}
        block = {
            "format_version": FORMAT_VERSION,
            "action_spec": self.action_spec.to_json(),
            "collection": dict(self.collection),
        }
        values = (CODEBASE_VERSION, self.robot_type, self.fps, features, block)
        return json.loads(json.dumps(dict(zip(SPEC_KEYS, values, strict=True))))

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> DatasetSpec:
        """Gives the spec that `meta/info.json` describes.

        Raises:
            DatasetError: The dataset is of a kind that cannot be read here.
        """
        _check_versions(info)
        features, block = info["features"], info["worldmodel"]
        _check_features(features)
        for key in (IMAGE_KEY, PROPRIO_KEY, ACTION_KEY, SIM_STATE_KEY):
            if key not in features:
                raise DatasetError(
                    f"feature {key!r} is missing, has {sorted(features)}"
                )
        if features[IMAGE_KEY]["dtype"] != "image":
            raise DatasetError(
                f"{IMAGE_KEY} must be stored as images in parquet, "
                f"got {features[IMAGE_KEY]['dtype']!r}"
            )
        try:
            action_spec = ActionSpec.from_json(block["action_spec"])
        except WorldModelError as error:
            raise DatasetError(str(error)) from error
        _check_rate(info.get("fps"), action_spec)
        if features[ACTION_KEY]["shape"] != [action_spec.size]:
            raise DatasetError(
                f"features.{ACTION_KEY}.shape must be [{action_spec.size}], one for "
                f"each name of the action spec, got {features[ACTION_KEY]['shape']}"
            )
        height, width, _ = features[IMAGE_KEY]["shape"]
        spec = cls(
            height=height,
            width=width,
            proprio_names=tuple(features[PROPRIO_KEY]["names"]),
            sim_state_size=features[SIM_STATE_KEY]["shape"][0],
            action_spec=action_spec,
            collection=block["collection"],
            robot_type=info["robot_type"],
        )
        spec.require_storable()
        return spec


def _check_rate(fps: object, action_spec: ActionSpec) -> None:
    """Raises unless frames and actions have one rate, in whole frames per second."""
    if isinstance(fps, bool) or not isinstance(fps, int) or fps < 1:
        raise DatasetError(f"fps must be a whole number of at least 1, got {fps!r}")
    if fps != action_spec.rate_hz:
        raise DatasetError(
            f"fps={fps} must be the rate of its actions, "
            f"worldmodel.action_spec.rate_hz={action_spec.rate_hz:g}"
        )


def _check_features(features: object) -> None:
    """Raises unless features have shapes of whole numbers, and vectors have names."""
    if not isinstance(features, Mapping):
        raise DatasetError(f"features must be an object, got {short(features)}")
    ranks = {IMAGE_KEY: 3, PROPRIO_KEY: 1, ACTION_KEY: 1, SIM_STATE_KEY: 1}
    for key in (key for key in ranks if key in features):
        feature = features[key]
        shape = feature.get("shape") if isinstance(feature, Mapping) else None
        sides = shape if isinstance(shape, list) else []
        is_shape = all(type(side) is int and 1 <= side <= MOST for side in sides)
        if len(sides) != ranks[key] or not is_shape:
            raise DatasetError(
                f"features.{key}.shape must be {ranks[key]} whole numbers in "
                f"[1, {MOST}], got {short(shape)}"
            )
    names = features.get(PROPRIO_KEY, {}).get("names")
    size = features.get(PROPRIO_KEY, {}).get("shape", [0])[0]
    texts = names if isinstance(names, list) else []
    is_texts = all(isinstance(name, str) for name in texts)
    if PROPRIO_KEY in features and (not is_texts or len(texts) != size):
        raise DatasetError(
            f"features.{PROPRIO_KEY}.names must be {size} texts, got {short(names)}"
        )


def _check_versions(info: Mapping[str, Any]) -> None:
    found = info.get("codebase_version")
    if found != CODEBASE_VERSION:
        raise DatasetError(
            f"the dataset has codebase_version {found!r}, expected {CODEBASE_VERSION!r}"
        )
    if "worldmodel" not in info:
        raise DatasetError(
            "the dataset has no 'worldmodel' block, which holds the meaning of its "
            "actions: it was not made by `worldmodel collect` or `worldmodel practice`"
        )
    if not isinstance(info["worldmodel"], Mapping):
        raise DatasetError(
            f"worldmodel must be an object, got {short(info['worldmodel'])}"
        )
    version = info["worldmodel"].get("format_version")
    if version != FORMAT_VERSION:
        raise DatasetError(
            f"the dataset has format_version {version}, this package reads "
            f"{FORMAT_VERSION}: install the package that made it or collect it anew"
        )
