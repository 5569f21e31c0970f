"""Plans with a model of ours inside stable-worldmodel's `World`.

    policy = StableWorldModelPolicy.from_pretrained("runs/train/pusht/model")
    world.set_policy(policy)
    world.evaluate(dataset=…, episodes_idx=…, start_steps=…, goal_offset=25, …)

Its `World` does not say when an episode begins: an env may start anew within a run, and
a second `evaluate` goes on with whatever its policy still has in mind. So each env has
a planner of its own here, which forgets everything as soon as the env's step count is
not how often it was asked, its goal picture is another, or `set_policy` is called.
(In a run from a dataset the first step count is that of the dataset.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from planners import CEM, MPC
from worldmodel.action_spec import ActionSpec
from worldmodel.data.pictures import resized
from worldmodel.evaluation.policy import Policy
from worldmodel.evaluation.world_model_policy import WorldModelPolicy
from worldmodel.model import WorldModel


@dataclass
class _Seat:
    """What is remembered of one env.

    Attributes:
        policy: Its planner.
        asked: How often it was asked in this episode, so the env's next step count.
        goal: Its goal picture.
    """

    policy: Policy
    asked: int = 0
    goal: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint8))


@dataclass
class StableWorldModelPolicy:
    """What stable-worldmodel calls a policy, around ours.

    Attributes:
        make: Makes a planner for one env.
        spec: What actions in [-1, 1] stand for.
        height: Of the pictures that it plans on [px].
        width: Of them [px].
        proprio: Key of what the robot feels of itself; None for nothing.
        seed: Of the planner's noise; env i has seed + i.
    """

    make: Callable[[], Policy]
    spec: ActionSpec
    height: int
    width: int
    proprio: str | None = None
    seed: int = 0
    env: Any = field(default=None, init=False, repr=False)
    _seats: list[_Seat] = field(default_factory=list, init=False, repr=False)

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, mpc: MPC | None = None, proprio: str | None = None
    ) -> StableWorldModelPolicy:
        """Plans with the model in a folder; `mpc` is the planner, a CEM by default."""
        model = WorldModel.from_pretrained(Path(folder))
        mpc = mpc or MPC(CEM(samples=64, elites=8, iterations=3, std=0.5), horizon=6)
        spec = replace(model.action_spec, block=1)
        return cls(
            make=lambda: WorldModelPolicy(model, mpc, spec),
            spec=spec,
            height=model.height,
            width=model.width,
            proprio=proprio,
        )

    def set_env(self, env: Any) -> None:
        """Is called by `World.set_policy`; forgets all episodes."""
        self.env = env
        self._seats = [_Seat(self.make()) for _ in range(env.num_envs)]

    def set_seed(self, seed: int) -> None:
        """Is called by `World.set_policy`, too, with `seed`."""
        self.seed = seed

    def get_action(self, info_dict: Mapping[str, Any]) -> np.ndarray:
        """Gives the actions (n, A) of all envs; zeros where an episode is over.

        Args:
            info_dict: `pixels` and `goal` uint8 (n, 1, h, w, 3), `step_idx` (n, 1),
                and, if it is wanted, proprio (n, 1, S); `terminated` (n, …).
        """
        space = self.env.single_action_space
        actions = np.zeros((len(self._seats), *space.shape), space.dtype)
        over = np.asarray(info_dict.get("terminated", np.zeros(len(actions))), bool)
        over = over.reshape(len(actions), -1)[:, -1]
        for place in np.flatnonzero(~over):
            decided = self._act(int(place), info_dict)
            wanted = self.spec.in_units(decided)[0]
            actions[place] = wanted.clip(space.low, space.high)
        return actions

    def _act(self, place: int, info: Mapping[str, Any]) -> np.ndarray:
        """Gives the action (1, A) in [-1, 1] of one env."""
        seat = self._seats[place]
        goal = np.asarray(info["goal"][place, -1])
        step = int(np.ravel(info["step_idx"][place])[-1])
        goes_on = seat.asked > 0 and step == seat.asked
        if not goes_on or not np.array_equal(goal, seat.goal):
            seat.policy.start(self._seen(goal), np.array([self.seed + place]))
            seat.goal, seat.asked = goal.copy(), 0
        seat.asked += 1
        felt = np.zeros((1, 0), np.float32)
        if self.proprio is not None:
            felt = np.asarray(info[self.proprio][place, -1:], np.float32)
        pixels = np.asarray(info["pixels"][place, -1])
        return seat.policy.act(self._seen(pixels), felt).actions

    def _seen(self, picture: np.ndarray) -> np.ndarray:
        """Gives a picture at the size that is planned on, (1, height, width, 3)."""
        picture = np.ascontiguousarray(picture)
        return resized(picture, self.height, self.width)[None]
