"""Collects a dataset of play: unlabelled motion around and through the cube.

The dataset is in LeRobot format v3. A kill loses no finished episode; the same command
goes on where it stopped, to the same dataset.
"""

from __future__ import annotations

import functools
from contextlib import closing
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from envs.recording import PROPRIO_NAMES, PlayRecorder
from envs.scene import scene_hash
from envs.simulation import ACTION_SPEC
from worldmodel.action_spec import ActionSpec
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

EXAMPLE = "worldmodel collect episodes=200 out=data/play"
COMMIT_EVERY = 20  # episodes


def run(config: DictConfig) -> int:
    """Collects until the dataset has `config.episodes` episodes."""
    require_whole(config, "episodes", 1, MOST_EPISODES)
    require_whole(config, "steps", 1, MOST_STEPS)
    require_whole(config, "seed", 0, MOST_SEED)
    require_whole(config, "workers", 1, MOST_WORKERS)
    require_launcher(config.launcher)
    mix = instantiate(config.mix)
    recorder = (mix, config.seed, config.steps, config.height, config.width)
    size = PlayRecorder(*recorder).state_size
    collection = {"seed": config.seed, "steps": config.steps, "mix": vars(mix)}
    spec = scene_spec(config.height, config.width, size, collection)
    root = folder_option(config, "out")
    with DatasetWriter(root, spec) as writer:
        missing = writer.missing(config.episodes)
        done = config.episodes - len(missing)
        with bar(config.episodes, "collect", "episode", done) as progress:
            work = functools.partial(_stage, recorder, root, spec)
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
def _recorder(key: tuple) -> PlayRecorder:
    """One recorder, so one GL context, per process."""
    return PlayRecorder(*key)


def _stage(key: tuple, root: Path, spec: DatasetSpec, index: int) -> int:
    recording = _recorder(key).record(index)
    stage_episode(root, spec, index, Episode(**vars(recording)))
    return index
