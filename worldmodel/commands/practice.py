"""Lets a model practise: it plans toward pictures of play, and is recorded.

A dataset like that of `collect`, for `train practice=[…]`. A kill loses no finished
group of episodes; the same command goes on where it stopped.
"""

from __future__ import annotations

import functools
from contextlib import closing
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from envs.simulation import Simulation
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
from worldmodel.commands.training import open_frames
from worldmodel.commands.workers import launch, require_launcher
from worldmodel.data import (
    DatasetSpec,
    DatasetWriter,
    Episode,
    FrameCache,
    stage_episode,
)
from worldmodel.errors import OptionError
from worldmodel.evaluation.collection import Practice, PracticeRules

EXAMPLE = (
    "worldmodel practice model=runs/train/first/model goals=data/play out=data/practice"
)


def run(config: DictConfig) -> int:
    """Practises until the dataset has `config.episodes` episodes."""
    require_whole(config, "episodes", 1, MOST_EPISODES)
    require_whole(config, "workers", 1, MOST_WORKERS)
    require_launcher(config.launcher)
    rules = instantiate(config.rules)
    control, goals = load_control(config), open_frames(config.goals, config.cache)
    _check_size(control, goals)
    spec = _spec(config, control, goals)
    root, size = folder_option(config, "out"), rules.group
    with DatasetWriter(root, spec) as writer:
        missing = writer.missing(config.episodes)
        groups = sorted({index // size for index in missing})
        done = config.episodes - len(missing)
        with bar(config.episodes, "practice", "episode", done) as progress:
            key = OmegaConf.to_yaml(config)
            work = functools.partial(_stage, key, root, spec, frozenset(missing))
            with closing(
                launch(config.launcher, work, groups, config.workers)
            ) as finished:
                for _ in finished:
                    writer.commit()
                    progress.update(size)
        writer.commit()
        show_dataset(root, "practice")
    return 0


def _check_size(control: Control, goals: FrameCache) -> None:
    wanted = (control.model.height, control.model.width)
    found = (goals.spec.height, goals.spec.width)
    if found != wanted:
        raise OptionError(
            f"goals must be a dataset of {wanted} pixels (height, width), as the model "
            f"sees, got {found}"
        )


def _spec(config: DictConfig, control: Control, goals: FrameCache) -> DatasetSpec:
    collection = {
        "model": control.model_hash,
        "control": control.settings,
        "goals": goals.fingerprint,
        "rules": OmegaConf.to_container(config.rules, resolve=True),
    }
    size = Simulation().state_size
    return scene_spec(control.model.height, control.model.width, size, collection)


@functools.cache
def _practice(key: str) -> Practice:
    """One practice, so one GL context, per process."""
    config = OmegaConf.create(key)
    assert isinstance(config, DictConfig)
    torch.set_num_threads(max(1, torch.get_num_threads() // config.workers))
    control = load_control(config)
    rules: PracticeRules = instantiate(config.rules)
    goals = open_frames(config.goals, config.cache)
    return Practice(control.model, control.mpc, goals, rules, control.cuda_graphs)


def _stage(
    key: str, root: Path, spec: DatasetSpec, missing: frozenset[int], number: int
) -> int:
    """Stages the episodes of a group that are not there yet."""
    practice = _practice(key)
    size = practice.rules.group
    for place, recording in enumerate(practice.record(number)):
        index = number * size + place
        if index in missing:
            stage_episode(root, spec, index, Episode(**vars(recording)))
    return number
