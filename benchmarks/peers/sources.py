"""The envs of stable-worldmodel that data are made in, and who acts there."""

from __future__ import annotations

from collections.abc import Mapping
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
