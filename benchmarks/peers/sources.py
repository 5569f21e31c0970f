"""The envs of stable-worldmodel that data are made in, and who acts there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worldmodel.action_spec import ActionSpec


@dataclass(frozen=True)
class Source:
    """An env, the scripted policy that records in it, and which columns are what.

    Attributes:
        env: Its id.
        policy: Their class, as "module:Class".
        arguments: What it is made with, beside a seed.
        proprio: Column of what the robot feels of itself.
        proprio_names: One name for each of its numbers.
        state: Columns that together bring a moment back, put side by side.
        state_size: Numbers of them all.
        action_names: One name for each dimension; all in [-1, 1].
        rate_hz: Control steps per second [Hz].
        steps: Control steps of an episode, as in their script.
        side: Height and width of frames [px], as in their script.
        options: What their env is made with beside that.
        wrapper: A wrapper of ours around their env, as "module:Class"; "" for none.
        at_once: Envs side by side; so many episodes at most are lost by a kill.
        parts: Columns of their training file that are parts of a state, and where.
        evaluated: What their evaluation makes the env with.
        restoring: How it brings back a start and sets a goal, as `World.evaluate` is
            told.
    """

    env: str
    policy: str
    proprio: str
    proprio_names: tuple[str, ...]
    state: tuple[str, ...]
    state_size: int
    action_names: tuple[str, ...]
    rate_hz: float
    steps: int
    side: int = 224
    arguments: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    wrapper: str = ""
    at_once: int = 10
    parts: Mapping[str, slice] = field(default_factory=dict)
    evaluated: Mapping[str, Any] = field(default_factory=dict)
    restoring: Sequence[Mapping[str, Any]] = ()

    @property
    def action_spec(self) -> ActionSpec:
        """What an action in [-1, 1] means, as far as the env tells."""
        unknown = ("unknown",) * len(self.action_names)
        return ActionSpec(
            names=self.action_names,
            units=unknown,
            scales=(1.0,) * len(self.action_names),
            frames=unknown,
            rate_hz=self.rate_hz,
        )


_CUBE = {
    "env_type": "single",
    "multiview": False,
    "width": 224,
    "height": 224,
    "visualize_info": False,
}
SOURCES = {
    "pusht": Source(
        env="swm/PushT-v1",
        policy="stable_worldmodel.envs.pusht:WeakPolicy",
        arguments={"dist_constraint": 100},
        proprio="proprio",
        proprio_names=("x", "y", "vx", "vy"),
        state=("state",),
        state_size=7,
        action_names=("dx", "dy"),
        rate_hz=10.0,
        steps=100,
        restoring=(
            {"method": "_set_state", "args": {"state": {"value": "state"}}},
            {
                "method": "_set_goal_state",
                "args": {"goal_state": {"value": "goal_state"}},
            },
        ),
    ),
    "cube": Source(
        env="swm/OGBCube-v0",
        policy="stable_worldmodel.envs.ogbench:ExpertPolicy",
        proprio="hand",
        proprio_names=("x", "y", "z", "cos_yaw", "sin_yaw", "opening"),
        state=("qpos", "qvel"),
        state_size=41,
        action_names=("dx", "dy", "dz", "dyaw", "gripper"),
        rate_hz=20.0,
        steps=200,
        options={**_CUBE, "terminate_at_goal": False, "mode": "data_collection"},
        wrapper="benchmarks.peers.cube:SeededCube",
        at_once=1,
        parts={
            "qpos": slice(0, 21),
            "qvel": slice(21, 41),
            "privileged_block_0_pos": slice(14, 17),
            "privileged_block_0_quat": slice(17, 21),
        },
        evaluated={**_CUBE, "terminate_at_goal": True},
        restoring=(
            {
                "method": "set_state",
                "args": {"qpos": {"value": "qpos"}, "qvel": {"value": "qvel"}},
            },
            {
                "method": "set_target_pos",
                "args": {
                    "cube_id": {"value": 0, "in_dataset": False},
                    "target_pos": {"value": "goal_privileged_block_0_pos"},
                    "target_quat": {"value": "goal_privileged_block_0_quat"},
                },
            },
        ),
    ),
}


def source(name: str) -> Source:
    """Gives the source of that name.

    Raises:
        ValueError: There is none; the message lists the known ones.
    """
    if name not in SOURCES:
        raise ValueError(f"source must be one of {', '.join(SOURCES)}, got {name!r}")
    return SOURCES[name]
