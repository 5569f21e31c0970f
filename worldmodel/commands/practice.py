"""Lets a model practise: it plans toward pictures of play, and is recorded.

A dataset like that of `collect`, for `train practice=[…]`. A kill loses no finished
group of episodes; the same command goes on where it stopped.
"""

from __future__ import annotations

import functools
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from envs.simulation import Simulation
from worldmodel.commands.arenas import goal_frames, open_arena
from worldmodel.commands.collect import scene_spec, show_dataset
from worldmodel.commands.control import Control, load_control
from worldmodel.commands.instantiate import instantiate
from worldmodel.commands.limits import (
    MOST_EPISODES,
    MOST_WORKERS,
    folder_option,
    require_whole,
)
from worldmodel.commands.progress import bar
from worldmodel.commands.workers import launch, require_launcher
from worldmodel.data import (
    DatasetSpec,
    DatasetWriter,
    Episode,
    FrameCache,
    stage_episode,
)
from worldmodel.errors import OptionError
from worldmodel.evaluation.adapters.adapted_arena import AdaptedArena
from worldmodel.evaluation.collection import Practice, PracticeRules
from worldmodel.evaluation.practice_places import AdaptedPlace, TabletopPlace

EXAMPLE = (
    "worldmodel practice model=runs/train/first/model goals=data/play out=data/practice"
)


def run(config: DictConfig) -> int:
    """Practises until the dataset has `config.episodes` episodes."""
    require_whole(config, "episodes", 1, MOST_EPISODES)
    require_whole(config, "workers", 1, MOST_WORKERS)
    require_launcher(config.launcher)
    rules = instantiate(config.rules)
    control = load_control(config)
    goals, _ = goal_frames(config, control.model)
    if config.env is None and "scene" not in goals.spec.collection:
        raise OptionError(
            f"goals={config.goals} was not recorded in our scene, where practice plays "
            "unless env= names another: give the env that the dataset is of"
        )
    spec = _spec(config, control, goals)
    root, size = folder_option(config, "out"), rules.group
    with DatasetWriter(root, spec) as writer:
        missing = writer.missing(config.episodes)
        groups = sorted({index // size for index in missing})
        done = config.episodes - len(missing)
        with bar(config.episodes, "practice", "episode", done) as progress:
            threads = max(1, torch.get_num_threads() // config.workers)
            key = (OmegaConf.to_yaml(config), threads)
            there = (root.resolve(), spec, frozenset(missing))
            work = functools.partial(_stage, key, *there)
            jobs = launch(config.launcher, work, groups, config.workers)
            with closing(jobs) as finished:
                for _ in finished:
                    writer.commit()
                    progress.update(size)
        writer.commit()
        show_dataset(root, "practice")
    return 0


def _spec(config: DictConfig, control: Control, goals: FrameCache) -> DatasetSpec:
    collection = {
        "model": control.model_hash,
        "control": control.settings,
        "goals": goals.fingerprint,
        "rules": OmegaConf.to_container(config.rules, resolve=True),
    }
    if config.env is not None:
        return _env_spec(config, control, goals, collection)
    size = Simulation().state_size
    return scene_spec(control.model.height, control.model.width, size, collection)


def _env_spec(
    config: DictConfig,
    control: Control,
    goals: FrameCache,
    collection: dict[str, Any],
) -> DatasetSpec:
    """What episodes in an env of others have in common: the words are its data's."""
    with closing(_arena(config, control)) as arena:
        observation, state = arena.start(seed=0)
        names, count = goals.spec.proprio_names, len(observation["proprio"])
        if not count or len(names) != count:
            raise OptionError(
                f"practice records at least 1 number of proprio, as many as goals= "
                f"has, {len(names)}; the adapter {arena.kind.__name__} gives {count}: "
                "set its `proprio`"
            )
        return DatasetSpec(
            height=control.model.height,
            width=control.model.width,
            proprio_names=names,
            sim_state_size=len(state),
            action_spec=replace(control.model.action_spec, block=1),
            collection={**collection, "env": arena.fingerprint},
            robot_type=goals.spec.robot_type,
        )


def _arena(config: DictConfig, control: Control) -> AdaptedArena:
    return open_arena(config, control, needs=("state",))


@functools.cache
def _practice(settings: str, threads: int) -> Practice:
    """One practice, so one GL context, per process."""
    config = OmegaConf.create(settings)
    assert isinstance(config, DictConfig)
    torch.set_num_threads(threads)
    control = load_control(config)
    rules: PracticeRules = instantiate(config.rules)
    goals, _ = goal_frames(config, control.model)
    if config.env is None:
        place = TabletopPlace(control.model.height, control.model.width)
    else:
        place = AdaptedPlace(_arena(config, control))
    how = control.cuda_graphs, control.search
    return Practice(control.model, control.mpc, goals, rules, place, *how)


def _stage(
    key: tuple[str, int],
    root: Path,
    spec: DatasetSpec,
    missing: frozenset[int],
    number: int,
) -> int:
    """Stages the episodes of a group that are not there yet."""
    practice = _practice(*key)
    size = practice.rules.group
    for place, recording in enumerate(practice.record(number)):
        index = number * size + place
        if index in missing:
            stage_episode(root, spec, index, Episode(**vars(recording)))
    return number
