"""Collects a dataset of play: unlabelled motion around and through the cube.

With `env=`, chance motion in any env that has an adapter. The dataset is in LeRobot
format v3. A kill loses no finished episode; the same command goes on where it stopped,
to the same dataset.
"""

from __future__ import annotations

import functools
from contextlib import closing
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from envs.play import PlayMix
from envs.recording import PROPRIO_NAMES, PlayRecorder
from envs.scene import scene_hash
from envs.simulation import ACTION_SPEC
from worldmodel.action_spec import ActionSpec
from worldmodel.commands.compose import default_config
from worldmodel.commands.instantiate import instantiate
from worldmodel.commands.limits import (
    MOST_EPISODES,
    MOST_SEED,
    MOST_STEPS,
    MOST_WORKERS,
    folder_option,
    require_whole,
)
from worldmodel.commands.progress import bar
from worldmodel.commands.run_readme import write_run_readme
from worldmodel.commands.workers import launch, require_launcher
from worldmodel.data import (
    DatasetSpec,
    DatasetWriter,
    Episode,
    LeRobotDataset,
    contact_sheet,
    stage_episode,
)
from worldmodel.errors import OptionError
from worldmodel.evaluation.adapters.finding import find_adapter
from worldmodel.evaluation.adapters.recording import ChanceRecorder

EXAMPLE = "worldmodel collect episodes=200 out=data/play"
COMMIT_EVERY = 20  # episodes


def run(config: DictConfig) -> int:
    """Collects until the dataset has `config.episodes` episodes."""
    _check(config)
    key, spec = _scene(config) if config.env is None else _env(config)
    root = folder_option(config, "out")
    with DatasetWriter(root, spec) as writer:
        missing = writer.missing(config.episodes)
        done = config.episodes - len(missing)
        with bar(config.episodes, "collect", "episode", done) as progress:
            work = functools.partial(_stage, key, root.resolve(), spec)
            with closing(
                launch(config.launcher, work, missing, config.workers)
            ) as finished:
                for count, _ in enumerate(finished, 1):
                    progress.update()
                    if count % COMMIT_EVERY == 0:
                        writer.commit()
        writer.commit()
        show_dataset(root, "collect")
    return 0


def _check(config: DictConfig) -> None:
    """Refuses bad options before anything is made."""
    require_whole(config, "episodes", 1, MOST_EPISODES)
    require_whole(config, "steps", 1, MOST_STEPS)
    require_whole(config, "seed", 0, MOST_SEED)
    require_whole(config, "workers", 1, MOST_WORKERS)
    require_launcher(config.launcher)
    if config.env is None and config.adapter is not None:
        raise OptionError(f"adapter={config.adapter} needs the env that it is of: env=")
    usual = default_config("collect").mix
    changed = [f"mix.{key}" for key, v in config.mix.items() if usual.get(key) != v]
    if config.env is not None and changed:
        raise OptionError(
            f"{', '.join(changed)} chooses among behaviours of our own scene, motion "
            f"in env={config.env} is chance: leave it out"
        )


def _scene(config: DictConfig) -> tuple[tuple, DatasetSpec]:
    """What makes a recorder of our scene, and its episodes' spec."""
    mix = instantiate(config.mix)
    key = (mix, config.seed, config.steps, config.height, config.width)
    size = PlayRecorder(*key).state_size
    collection = {"seed": config.seed, "steps": config.steps, "mix": vars(mix)}
    return key, scene_spec(config.height, config.width, size, collection)


def _env(config: DictConfig) -> tuple[tuple, DatasetSpec]:
    """What makes a recorder of the env that `env=` names, and its episodes' spec."""
    names = ("env", "adapter", "seed", "steps", "height", "width")
    key = tuple(config[name] for name in names)
    with closing(_env_recorder(*key)) as recorder:
        return key, recorder.spec()


def _env_recorder(env: str, adapter: str | None, *rest: int) -> ChanceRecorder:
    return ChanceRecorder(env, find_adapter(env, adapter), *rest)


def show_dataset(root: Path, command: str) -> None:
    """Draws a contact sheet of a dataset beside it, and says what there is."""
    dataset = LeRobotDataset.open(root)
    sheet = root / "contact_sheet.png"
    contact_sheet(dataset, sheet)
    size = f"{len(dataset)} episodes, {dataset.frames} frames"
    write_run_readme(root, command, f"A dataset in LeRobot format v3: {size}.")
    print(f"{size} in {root}; see {sheet}")


def scene_spec(
    height: int, width: int, state_size: int, collection: dict[str, Any]
) -> DatasetSpec:
    """A dataset of the scene as it is now, with frames height x width.

    Pictures of another scene (camera, light, arm, cube) do not go into one dataset with
    those of this one.
    """
    return DatasetSpec(
        height=height,
        width=width,
        proprio_names=PROPRIO_NAMES,
        sim_state_size=state_size,
        action_spec=ActionSpec.from_json(ACTION_SPEC),
        collection={**collection, "scene": scene_hash()},
    )


@functools.cache
def _recorder(key: tuple) -> PlayRecorder | ChanceRecorder:
    """One recorder, so one GL context, per process."""
    return PlayRecorder(*key) if isinstance(key[0], PlayMix) else _env_recorder(*key)


def _stage(key: tuple, root: Path, spec: DatasetSpec, index: int) -> int:
    recording = _recorder(key).record(index)
    stage_episode(root, spec, index, Episode(**vars(recording)))
    return index
