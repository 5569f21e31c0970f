"""What `worldmodel train` is asked for: its recipe, and what that learns from."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.checkpoints.encoders import load_projector
from worldmodel.commands.instantiate import instantiate
from worldmodel.commands.training import cache_limit, open_frames
from worldmodel.commands.views import view_history
from worldmodel.data import FrameCache, View
from worldmodel.encoders import FrozenEncoder
from worldmodel.errors import OptionError
from worldmodel.evaluation.protocol import PROTOCOL_VERSION, SPLIT_SEEDS
from worldmodel.model import WorldModel
from worldmodel.model_spec import WorldModelSpec
from worldmodel.training.recipe import Projectors, Recipe

OWN = "encoder"  # projector_from: the projector that the encoder was pretrained with
NONE = "none"  # one is trained


def recipe_of(config: DictConfig) -> Recipe:
    """The recipe that the options describe.

    Raises:
        OptionError: an option is refused, or two of them do not fit together.
    """
    parts = {field.name: config[field.name] for field in fields(Recipe)}
    made = {
        name: instantiate(part) if isinstance(part, DictConfig) else part
        for name, part in parts.items()
    }
    try:
        return Recipe(**made)
    except (TypeError, ValueError) as error:
        raise OptionError(str(error)) from error


def open_practice(
    config: DictConfig, frames: FrameCache, view: View
) -> list[FrameCache]:
    """What models practised, or what was recorded later, looked at as the data is."""
    alike = replace(view, actions=frames.spec.action_spec)
    practised = [
        open_frames(str(path), config.cache, alike, cache_limit(config))
        for path in config.practice
    ]
    for path, practice in zip(config.practice, practised, strict=True):
        for name in ("height", "width", "proprio_names", "action_spec"):
            wanted, found = getattr(frames.spec, name), getattr(practice.spec, name)
            if found != wanted:
                raise OptionError(
                    f"practice {path} must have the {name} of data, {wanted}, got "
                    f"{found}"
                )
        scenes = [some.spec.collection.get("scene") for some in (frames, practice)]
        if None not in scenes and scenes[0] != scenes[1]:
            raise OptionError(
                f"practice {path} was recorded in scene {scenes[1]}, data in "
                f"{scenes[0]}: another camera, light or cube; record one of them anew"
            )
    return practised


def given_projectors(
    config: DictConfig, encoder: FrozenEncoder, recipe: Recipe, frames: FrameCache
) -> Projectors | None:
    """Projector and estimator that `projector_from` names, or None to train them.

    Raises:
        OptionError: there are none, they are of another encoder, or of other sizes than
            the recipe's.
    """
    path, at = config.projector_from, encoder.published_at
    if path == NONE or (path == OWN and at is not None):
        return None
    spec = recipe.spec(encoder, frames)
    if path == OWN:
        return _own_projector(config, spec)
    model = WorldModel.from_pretrained(path, at)
    if model.encoder.weights_hash != encoder.weights_hash:
        raise OptionError(
            f"projector_from={path} was trained on encoder "
            f"{model.encoder.weights_hash[:12]}, encoder={config.encoder} is "
            f"{encoder.weights_hash[:12]}; take both from one pretraining"
        )
    for name in ("projector", "proprio_estimator"):
        found, wanted = getattr(model.spec, name), getattr(spec, name)
        if found != wanted:
            raise OptionError(
                f"projector_from={path} has a {name} {found}, the recipe says {wanted}"
            )
    return Projectors(model.projector, model.proprio_estimator)


def _own_projector(config: DictConfig, spec: WorldModelSpec) -> Projectors:
    """The projector that the encoder was pretrained with."""
    found = load_projector(config.encoder)
    if found is None:
        raise OptionError(
            f"encoder={config.encoder} was pretrained without a projector of its own: "
            "give projector_from=none to train one, or a model's folder"
        )
    if spec.proprio_estimator is not None:
        raise OptionError(
            "projector_from=encoder brings no proprio estimator, which this recipe "
            "wants: give projector_from=none to train both, or "
            "tabletop.proprio_correction=false"
        )
    if found.spec != spec.projector:
        raise OptionError(
            f"encoder={config.encoder} has a projector {found.spec}, the recipe says "
            f"{spec.projector}: give projector.dim={found.spec.dim}"
        )
    return Projectors(found.requires_grad_(False).eval())


def projectors_hash(given: Projectors) -> str:
    """Names projector and estimator by their weights."""
    parts = [part for part in (given.projector, given.estimator) if part is not None]
    return weights_hash(nn.ModuleList(parts))


def training_history(
    config: DictConfig,
    frames: FrameCache,
    practised: list[FrameCache],
    encoder_history: dict[str, Any],
    device: torch.device,
    given: Projectors | None,
) -> dict[str, Any]:
    """How the model was made, as plain JSON."""
    return {
        "dataset": frames.fingerprint,
        "collection": dict(frames.spec.collection),
        "frames": len(frames.frames),
        "view": view_history(config, frames.spec),
        "protocol": training_protocol(),
        "practice": [practice.fingerprint for practice in practised],
        "device": device.type,
        "recipe": {
            "projector_given": given is not None,
            **{
                field.name: OmegaConf.to_container(part, resolve=True)
                if isinstance(part := config[field.name], DictConfig)
                else part
                for field in fields(Recipe)
            },
        },
        "encoder": encoder_history,
    }


def training_protocol() -> dict[str, Any]:
    """The rules of evaluation at this time, and which seeds they leave to training."""
    seeds = SPLIT_SEEDS["train"]
    return {"version": PROTOCOL_VERSION, "train_seeds": [seeds.start, seeds.stop]}
