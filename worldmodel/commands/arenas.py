"""The place that options name: one of our tasks, or any env of Gymnasium."""

from __future__ import annotations

import numpy as np
from omegaconf import DictConfig

from envs.tasks import TASKS
from worldmodel.commands.control import Control, chosen_tasks
from worldmodel.commands.instantiate import instantiate
from worldmodel.commands.limits import require_whole
from worldmodel.commands.training import open_frames
from worldmodel.data import (
    ForeignDataset,
    FrameCache,
    View,
    camera_keys,
    open_dataset,
)
from worldmodel.data.foreign_states import read_vectors
from worldmodel.errors import OptionError, WorldModelError
from worldmodel.evaluation.adapters.adapted_arena import AdaptedArena
from worldmodel.evaluation.adapters.adapter import Adapter
from worldmodel.evaluation.adapters.finding import find_adapter, require_methods
from worldmodel.evaluation.adapters.fitting import require_fits
from worldmodel.evaluation.arena import Arena
from worldmodel.evaluation.recorded_goals import RecordedGoals
from worldmodel.model import WorldModel
from worldmodel.predictors import pose
from worldmodel.vjepa2_ac.world_model import PatchWorldModel

MOST_AHEAD = 100_000  # control steps
JUDGING = ("state", "restore", "distances", "tolerances")


def chosen_places(config: DictConfig) -> list[str]:
    """Gives the names of our tasks, or of the one env, that options name.

    An env of ours, with problems of its own, is the task.
    """
    if config.env is None:
        return chosen_tasks(str(config.task))
    space, _, name = str(config.env).partition("/")
    own = {f"{task}-v0": task for task in TASKS}
    is_plain = config.adapter is None and config.get("goals") is None
    is_own = space == "worldmodel" and is_plain and name in own
    return [own[name] if is_own else str(config.env)]


def open_place(
    config: DictConfig, control: Control, name: str, needs: tuple[str, ...] = ()
) -> Arena:
    """Makes a place of `chosen_places`; see `open_arena` for other envs than ours."""
    if name in TASKS:
        scene = config.get("scene")
        return control.arena(name, None if scene is None else instantiate(scene))
    return open_arena(config, control, needs)


def open_arena(
    config: DictConfig, control: Control, needs: tuple[str, ...] = ()
) -> AdaptedArena:
    """Makes the env that `env=` names, and checks all that can be known before a run.

    Args:
        config: Has `env`, `adapter`, `budget`, and, where goals may be recorded,
            `goals`, `ahead`, `states`, `camera` and `cache`.
        control: The model, and what plans with it.
        needs: What the adapter must say; with `JUDGING` among it, starts and goals are
            those of `goals=`, or the env's own.

    Raises:
        WorldModelError: The env cannot be made, its adapter lacks something, or it
            contradicts model or dataset.
    """
    kind = find_adapter(config.env, config.adapter)
    model = control.model
    judges = needs == JUDGING
    if judges and config.goals is None:
        needs = (*needs, "problem")  # where starts and goals come from then
    require_methods(kind, needs, config.env)
    arena = AdaptedArena(
        task=config.env,
        kind=kind,
        action_spec=model.action_spec,
        height=model.height,
        width=model.width,
        budget=_budget(config, kind),
    )
    try:
        require_fits("model", model.action_spec, arena.adapter, config.env)
        _check_proprio(model, arena)
        if judges and config.goals is not None:
            arena.goals = recorded_goals(config, model, arena)
            arena.goals.starts(config.split)  # which refuses a split without any
        arena.check()
    except BaseException:
        arena.close()
        raise
    return arena


def recorded_goals(
    config: DictConfig, model: WorldModel | PatchWorldModel, arena: AdaptedArena
) -> RecordedGoals:
    """Opens the dataset of `goals=`, with the env's state at each of its frames."""
    require_whole(config, "ahead", 1, MOST_AHEAD)
    block = model.action_spec.block
    if config.ahead % block:
        raise OptionError(
            f"ahead must be a multiple of the {block} control steps of a model step, "
            f"got {config.ahead}"
        )
    frames, view = goal_frames(config, model)
    if isinstance(model, WorldModel):  # the others' actions follow from poses
        require_fits("dataset", frames.spec.action_spec, arena.adapter, config.env)
    ahead = config.ahead // block
    states = _states(config, frames, view, arena.kind)
    if states is not None:
        return RecordedGoals.of_states(frames, states, ahead)

    def read(row: int) -> np.ndarray:
        picture = np.array(frames.frames[row])
        return arena.adapter.read(picture, frames.proprio[row])

    return RecordedGoals(frames, read, ahead)


def goal_frames(
    config: DictConfig, model: WorldModel | PatchWorldModel
) -> tuple[FrameCache, View]:
    """Opens the dataset of `goals=` as the model sees it.

    Args:
        config: Has `goals`, `camera` and `cache`.
        model: Tells the size of frames, and how actions are to be taken.
    """
    seen, known = model.history.get("view", {}), camera_keys(config.goals)
    cameras = [key for key in seen.get("camera", ()) if key in known]
    stride = model.action_spec.block
    if isinstance(model, PatchWorldModel):
        stride = seen.get("stride", 1)
    view = View(
        camera=config.camera or cameras or None,
        height=model.height,
        width=model.width,
        stride=stride,
        absolute_actions=seen.get("absolute_actions"),
    )
    frames = open_frames(config.goals, config.cache, view)
    return frames, view


def _states(
    config: DictConfig, frames: FrameCache, view: View, kind: type[Adapter]
) -> np.ndarray | None:
    """The env's state at each frame: what we recorded, or columns of others.

    None where neither tells it, but the adapter reads it from pictures.
    """
    if frames.sim_state.shape[1]:
        return frames.sim_state
    keys = [config.states] if isinstance(config.states, str) else config.states
    keys = [str(key) for key in keys or kind.columns]
    dataset = open_dataset(config.goals, view)
    assert isinstance(dataset, ForeignDataset)
    is_there = bool(keys) and set(keys) <= set(dataset.info.features)
    if is_there or config.states:
        return read_vectors(dataset, keys)
    if kind.has("read"):
        print("the env's state is read from pictures: the dataset does not tell it")
        return None
    named = f", and has no {', '.join(keys)}" if keys else ""
    raise OptionError(
        f"goals={config.goals} does not say which of its columns are the env's state"
        f"{named}: name them with states=, of: "
        f"{', '.join(sorted(dataset.info.features))}"
    )


def _budget(config: DictConfig, kind: type[Adapter]) -> int:
    if config.get("budget") is None:
        return kind.budget
    require_whole(config, "budget", 1, MOST_AHEAD)
    return config.budget


def _check_proprio(model: WorldModel | PatchWorldModel, arena: AdaptedArena) -> None:
    """Refuses an env whose proprio the model cannot take."""
    observation, _ = arena.start(seed=0)
    found = len(observation["proprio"])
    if isinstance(model, PatchWorldModel):
        if found != pose.SIZE:
            raise WorldModelError(
                f"the model needs the robot's pose, {pose.SIZE} numbers: x, y, z [m], "
                "Euler angles [rad], how far the gripper is closed; the adapter "
                f"{arena.kind.__name__} of env={arena.task} gives {found}: have its "
                "`feel` give these"
            )
        return
    known, needed = model.spec.proprio_dim, model.spec.proprio_correction
    if found == 0 and needed:
        raise WorldModelError(
            f"the model corrects what it sees by {needed} numbers of proprio, the "
            f"adapter {arena.kind.__name__} of env={arena.task} gives none: set its "
            "`proprio`, or train with tabletop.proprio_correction=false"
        )
    if found and known and found != known:
        raise WorldModelError(
            f"the model was trained with {known} numbers of proprio, the adapter "
            f"{arena.kind.__name__} of env={arena.task} gives {found}"
        )
