"""What `worldmodel train_ac` is asked for: an encoder, poses, and what learns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from worldmodel.checkpoints.outline import require_trainable
from worldmodel.checkpoints.vjepa2_ac import load_vjepa2_ac
from worldmodel.commands.frozen_encoders import open_encoder
from worldmodel.commands.instantiate import instantiate
from worldmodel.commands.training import training_frames
from worldmodel.data import ForeignDataset, FrameCache, View, open_dataset
from worldmodel.data.foreign_states import read_vectors
from worldmodel.encoders import FrozenEncoder, PublishedSpec
from worldmodel.errors import OptionError, WorldModelError
from worldmodel.predictors import PatchPredictor, pose
from worldmodel.training.patch_predictor import initialise
from worldmodel.vjepa2_ac.world_model import PatchWorldModel, PatchWorldModelSpec


@dataclass(frozen=True, eq=False)
class Given:
    """What is learned from, and what learns.

    Attributes:
        encoder: frozen, for frames of the dataset's size.
        frames: the dataset.
        states: (N, 7) of the robot at its frames.
        model: holds the predictor as it is before.
    """

    encoder: FrozenEncoder
    frames: FrameCache
    states: torch.Tensor
    model: PatchWorldModel


def given_by(config: DictConfig) -> Given:
    """Opens and compares everything, before anything is computed."""
    encoder, history = open_encoder(config)
    if not isinstance(encoder.spec, PublishedSpec):
        raise OptionError(
            f"encoder={config.encoder} is one of ours: train_ac takes a published one, "
            "see docs/vjepa2.md; `worldmodel train` plans on ours"
        )
    view = View(camera=config.camera, stride=config.stride)
    frames = training_frames(config, view)
    encoder = encoder.sized(frames.spec.height, frames.spec.width)
    states = _states(config, frames, view)
    spec = _spec(config, encoder, frames)
    model = PatchWorldModel(spec, _history(config, frames, history))
    model.encoder, model.predictor = encoder, _predictor(config, spec, encoder)
    return Given(encoder, frames, states, model)


def _states(config: DictConfig, frames: FrameCache, view: View) -> torch.Tensor:
    """The robot's recorded poses (N, 7)."""
    keys = [config.poses] if isinstance(config.poses, str) else config.poses
    values, told = frames.proprio, "observation.state"
    if keys:
        dataset = open_dataset(config.data, view)
        if not isinstance(dataset, ForeignDataset):
            raise OptionError("poses is for datasets of others: leave it out")
        values = read_vectors(dataset, [str(key) for key in keys])
        values, told = values[: len(frames.frames)], ", ".join(map(str, keys))
    states = torch.from_numpy(np.array(values, np.float32))
    if states.shape[1] != pose.SIZE:
        raise OptionError(
            f"{told} of {config.data} must hold poses of {pose.SIZE} numbers: x, y, z "
            "[m], Euler angles [rad], how far the gripper is closed, 0 to 1; got "
            f"{states.shape[1]}: name the columns that do with poses=[…]"
        )
    try:
        pose.require_recorded(states)
    except WorldModelError as error:
        raise OptionError(f"{told} of {config.data}: {error}") from error
    return states


def _spec(
    config: DictConfig, encoder: FrozenEncoder, frames: FrameCache
) -> PatchWorldModelSpec:
    assert isinstance(encoder.spec, PublishedSpec)
    actions = frames.spec.action_spec
    space, sizes = instantiate(config.space), instantiate(config.architecture)
    try:
        predictor = sizes.spec(encoder.spec)
        require_trainable(lambda: PatchPredictor(predictor))
        rate = actions.rate_hz / actions.block
        return PatchWorldModelSpec(encoder.spec, predictor, space, rate)
    except ValueError as error:
        raise OptionError(str(error)) from error


def _predictor(
    config: DictConfig, spec: PatchWorldModelSpec, encoder: FrozenEncoder
) -> PatchPredictor:
    """The predictor that learns: of chance, or of `predictor=`."""
    if config.predictor is None:
        with torch.random.fork_rng([]):
            made = PatchPredictor(spec.predictor)
        initialise(made, torch.Generator().manual_seed(config.seed))
        return made
    if not Path(config.predictor).expanduser().is_dir():
        return load_vjepa2_ac(Path(config.predictor).expanduser(), spec.predictor)
    found = PatchWorldModel.from_pretrained(config.predictor, config.encoder)
    if found.encoder.weights_hash != encoder.weights_hash:
        raise OptionError(
            f"predictor={config.predictor} was trained on encoder "
            f"{found.encoder.weights_hash[:12]}, encoder={config.encoder} as it is "
            f"read here is {encoder.weights_hash[:12]}; give encoder= and published as "
            "they were then"
        )
    if found.spec.predictor != spec.predictor:
        raise OptionError(
            f"predictor={config.predictor} is {found.spec.predictor}, architecture "
            f"says {spec.predictor}: give its sizes, architecture.width=… and so on"
        )
    return found.predictor


def _history(
    config: DictConfig, frames: FrameCache, encoder_history: dict[str, Any]
) -> dict[str, Any]:
    """How the model was made, as plain JSON."""
    told = ("predictor", "seed", "recipe", "schedule", "poses")
    made = {
        name: OmegaConf.to_container(part, resolve=True)
        if OmegaConf.is_config(part := config[name])
        else part
        for name in told
    }
    actions = frames.spec.action_spec
    seen = {"camera": list(frames.spec.cameras), "stride": actions.block}
    return {
        "dataset": frames.fingerprint,
        "frames": len(frames.frames),
        "view": seen,
        "recipe": made,
        "encoder": encoder_history,
    }
