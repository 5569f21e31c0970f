"""Every setting of `train` and `pretrain` changes what comes out."""

import copy
import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from tests.training.toy import ENCODER, toy_frames
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.commands.compose import compose_config
from worldmodel.commands.instantiate import instantiate
from worldmodel.commands.train_options import recipe_of
from worldmodel.encoders import FrozenEncoder, VideoViT
from worldmodel.errors import OptionError
from worldmodel.training.jepa import train_jepa
from worldmodel.training.proprio_estimator import ProprioEstimatorRecipe
from worldmodel.training.recipe import Run, train_world_model

CPU = torch.device("cpu")
TOY = toy_frames()
# The square is no part of the robot: proprio does not tell where it is.
FELT = np.random.default_rng(2).normal(size=(len(TOY.frames), 4)).astype(np.float32)
NAMES = ("x", "y", "z", "yaw")
FRAMES = replace(TOY, proprio=FELT, spec=replace(TOY.spec, proprio_names=NAMES))
PRACTICE = replace(FRAMES, proprio=-FELT, fingerprint="practice")
# Where things lie and how they are kept, what computes, how others' data is looked at:
# nothing of the recipe.
PLACES = {"data", "encoder", "projector_from", "practice", "out", "tokens", "cache"}
PLACES |= {
    "cache_limit",
    "tokens_as",
    "episodes",
    "device",
    "bank",
    "camera",
    "stride",
    "absolute_actions",
}
SMALL_TRAIN = (
    *("recipe=tabletop", "data=d", "encoder=e"),
    *("tabletop.proprio=3", "tabletop.goal_proprio=1"),
    *("tabletop.object_dims=3", "tabletop.proprio_estimator.batch=8"),
    "tabletop.proprio_estimator.hidden=8",
    *("projector.dim=12", "projector.pairs=2", "projector.schedule.steps=2"),
    *("projector.weights.inverse=0.1", "projector.weights.contrast=0.1"),
    *("projector.weights.sigreg=0.01", "projector.schedule.warmup=1"),
    *("planning.schedule.steps=2", "planning.schedule.warmup=1"),
    *("planning.predictor.windows=4", "planning.predictor.window=4"),
    *("planning.predictor.width=16", "planning.predictor.depth=1"),
    *("planning.distance.hidden=8", "planning.distance.batch=64"),
    *("planning.policy_prior.hidden=8", "planning.policy_prior.batch=64"),
)
TRAIN = {
    "practice_weight": 1,
    "seed": 1,
    "still": 0.9,
    "tabletop.proprio": 4,
    "tabletop.goal_proprio": 2,
    "tabletop.proprio_correction": False,
    "tabletop.object_dims": 4,
    "projector.dim": 14,
    "projector.schedule.steps": 3,
    "projector.schedule.learning_rate": 0.01,
    "projector.weights.inverse": 0.2,
    "projector.weights.contrast": 0.2,
    "projector.weights.sigreg": 0.2,
    "projector.weights.proprio": 0.2,
    "projector.weights.blobs": 0.2,
    "projector.weights.object_positions": 0.2,
    "planning.schedule.steps": 3,
    "planning.schedule.learning_rate": 0.01,
    "planning.predictors": 2,
    "planning.predictor.window": 5,
    "planning.predictor.width": 32,
    "planning.distance.discount": 0.9,
    "planning.distance.success_radius": 1.0,
    "planning.distance.expectile": 0.5,
    "cost.latent": 0.5,
    "cost.temporal": 0.5,
    "cost.latent_near": 0.5,
    "cost.proprio_goal": 0.5,
    "cost.move_threshold": 0.1,
    "cost.running": 0.1,
    "cost.min_improvement": 0.1,
}
# Fields that the YAML leaves at their defaults.
TRAIN_FIELDS = {
    "tabletop.proprio_estimator.even": 0.0,
    "cost.judged": 4,
    "planning.distance.hidden": 16,
    "planning.predictor.depth": 2,
    "planning.distance.ahead": 2,
    "projector.pairs": 3,
    "projector.window": 4,
    "planning.predictor.windows": 5,
    "planning.distance.momentum": 0.5,
    "planning.policy_prior.within": 3,
    "planning.policy_prior.others": 0.9,
    "planning.policy_prior.ahead": 2,
    "planning.policy_prior.sharpness": 0.1,
}
SMALL_PRETRAIN = (
    *("recipe=tabletop", "data=d", "recipe.window=3", "recipe.clip_frames=4"),
    *("recipe.windows=4", "recipe.clips=1", "recipe.schedule.steps=3"),
    *(
        "recipe.schedule.warmup=1",
        "recipe.schedule.learning_rate=0.05",
        "recipe.model.targets=2",
        "recipe.model.proprio=2",
    ),
    *("recipe.model.latent_dim=8", "recipe.model.encoder.height=16"),
    *("recipe.model.encoder.width=16", "recipe.model.encoder.patch=8"),
    *("recipe.model.encoder.dim=12", "recipe.model.encoder.heads=2"),
    *("recipe.model.encoder.depth=1", "recipe.model.encoder.cell_dim=4"),
    *("recipe.model.encoder.points=2", "recipe.model.encoder.num_colors=4"),
    *("recipe.model.encoder.num_slots=0",),
)
PRETRAIN = {
    "recipe.windows": 3,
    "recipe.seed": 1,
    "recipe.schedule.steps": 4,
    "recipe.schedule.learning_rate": 0.01,
    "recipe.model.proprio": 1,
    "recipe.model.encoder.patch": 4,
    "recipe.model.encoder.dim": 24,
    "recipe.model.encoder.depth": 2,
    "recipe.model.encoder.points": 3,
    "recipe.model.encoder.num_colors": 3,
    "recipe.model.encoder.num_slots": 1,
    "recipe.model.weights.prediction": 0.5,
    "recipe.model.weights.inverse": 0.5,
    "recipe.model.weights.contrast": 0.5,
    "recipe.model.weights.sigreg": 0.5,
    "recipe.model.weights.proprio": 0.5,
    "recipe.model.weights.masked": 1.0,
}
SMALL_PLAIN = (
    *("data=d", "recipe.windows=4", "recipe.clips=1", "recipe.later=2"),
    *("recipe.schedule.steps=5", "recipe.schedule.warmup=1"),
    *("recipe.schedule.learning_rate=0.05", "recipe.model.targets=2"),
    *("recipe.clip_frames=4", "recipe.window=3"),
    *("recipe.model.latent_dim=8", "recipe.model.proprio=2"),
    *("recipe.model.encoder.height=16", "recipe.model.encoder.width=16"),
    *("recipe.model.encoder.patch=8", "recipe.model.encoder.dim=12"),
    *("recipe.model.encoder.heads=2", "recipe.model.encoder.depth=1"),
    *("recipe.model.encoder.cell_dim=4", "recipe.model.encoder.points=2"),
)
PLAIN = {
    "recipe.windows": 3,
    "recipe.seed": 1,
    "recipe.schedule.steps": 6,
    "recipe.schedule.learning_rate": 0.01,
    "recipe.augment.colour": 1.0,
    "recipe.model.proprio": 1,
    "recipe.model.encoder.patch": 4,
    "recipe.model.encoder.dim": 24,
    "recipe.model.encoder.depth": 2,
    "recipe.model.encoder.points": 3,
    "recipe.model.weights.masked": 1.0,
    "recipe.model.weights.prediction": 0.5,
    "recipe.model.weights.inverse": 0.5,
    "recipe.model.weights.sigreg": 0.5,
    "recipe.model.weights.contrast": 0.1,
    "recipe.model.weights.proprio": 0.5,
}
PLAIN_FIELDS = {
    "recipe.model.still": 0.9,
    "recipe.model.latent_dim": 9,
    "recipe.window": 4,
    "recipe.clips": 2,
    "recipe.clip_frames": 2,
    "recipe.later": 9.0,
    "recipe.momentum": 0.5,
    "recipe.augment.shift": 1.0,
    "recipe.model.features": 3,
}
PRETRAIN_FIELDS = {
    "recipe.model.still": 0.9,
    "recipe.window": 4,
    "recipe.clips": 2,
    "recipe.momentum": 0.5,
    "recipe.schedule.warmup": 3,
    "recipe.model.latent_dim": 9,
    "recipe.model.encoder.heads": 1,
}
# of `train`, and of `pretrain` with each of its recipes
SMALL = {"train": SMALL_TRAIN, "tabletop": SMALL_PRETRAIN, "plain": SMALL_PLAIN}
CHANGES = {
    "train": TRAIN | TRAIN_FIELDS,
    "tabletop": PRETRAIN | PRETRAIN_FIELDS,
    "plain": PLAIN | PLAIN_FIELDS,
}


def leaves(values: Any, name: str = "") -> Iterator[str]:
    """Dotted names of all settings of a config."""
    if not isinstance(values, dict):
        yield name
        return
    for key, inner in values.items():
        if key != "_target_":
            yield from leaves(inner, f"{name}.{key}" if name else str(key))


@pytest.mark.parametrize(
    ("command", "options", "known"),
    [
        ("train", ("data=d", "encoder=e"), TRAIN),
        ("train", ("data=d", "encoder=e", "recipe=tabletop"), TRAIN),
        ("pretrain", ("data=d",), PLAIN),
        ("pretrain", ("data=d", "recipe=tabletop"), PRETRAIN),
    ],
)
def test_no_setting_is_forgotten_here(
    command: str, options: tuple[str, ...], known: dict[str, Any]
):
    config = OmegaConf.to_container(compose_config(command, options))
    assert set(leaves(config)) - PLACES == set(known)


@pytest.fixture
def things(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thing that the hand has found in the toy world."""
    generator = torch.Generator().manual_seed(0)
    told = torch.rand(len(FRAMES.frames), 1, 4, generator=generator)
    monkeypatch.setattr(
        "worldmodel.training.tabletop.object_position_targets",
        lambda frames, blobs, slots: told[:, :slots],
    )
    for rest in ("recipe.measure_errors", "loop.save_training_state"):  # of no setting
        monkeypatch.setattr(f"worldmodel.training.{rest}", lambda *_: None)


@functools.cache
def usual(kind: str) -> DictConfig:
    """The config of a small training."""
    return compose_config("train" if kind == "train" else "pretrain", SMALL[kind])


def config_with(kind: str, name: str | None = None) -> DictConfig:
    """The config of a small training, with one setting changed."""
    config = copy.deepcopy(usual(kind))
    if name is not None:
        OmegaConf.set_readonly(config, False)
        OmegaConf.update(config, name, CHANGES[kind][name], force_add=True)
    return config


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the toy world is encoded, once for all trainings that encode it alike."""
    return tmp_path_factory.mktemp("tokens")


def trained(config: DictConfig, folder: Path, tokens: Path) -> str:
    """What comes of a training in the toy world, as one text."""
    folder.mkdir(exist_ok=True)
    spec = replace(ENCODER, num_colors=3, num_slots=1)
    encoder = VideoViT(spec, torch.Generator().manual_seed(0))
    run = Run(folder, CPU, tokens=tokens)
    model = train_world_model(
        recipe_of(config), FrozenEncoder(encoder), FRAMES, run, collected=[PRACTICE]
    )
    return f"{weights_hash(model)} {model.spec}"


def pretrained(config: DictConfig) -> str:
    """What comes of a pretraining in the toy world, as one text."""
    made = train_jepa(instantiate(config.recipe), FRAMES, CPU)
    return weights_hash(nn.ModuleList((made.encoder, made.projector)))


@pytest.fixture(scope="module")
def known() -> dict[str, str]:
    """What comes of the settings that the tests leave as they are, by kind."""
    return {}


@pytest.mark.usefixtures("things")
@pytest.mark.parametrize("name", [*TRAIN, *TRAIN_FIELDS])
def test_each_setting_of_train_changes_the_model(name, known, tokens, tmp_path: Path):
    if "train" not in known:
        known["train"] = trained(config_with("train"), tmp_path / "usual", tokens)
    changed = config_with("train", name)
    assert trained(changed, tmp_path / "changed", tokens) != known["train"]


@pytest.mark.parametrize("name", [*PRETRAIN, *PRETRAIN_FIELDS])
def test_each_setting_of_pretrain_changes_the_encoder(name, known):
    if "tabletop" not in known:
        known["tabletop"] = pretrained(config_with("tabletop"))
    assert pretrained(config_with("tabletop", name)) != known["tabletop"]


@pytest.mark.parametrize("name", [*PLAIN, *PLAIN_FIELDS])
def test_each_setting_of_the_plain_pretraining_changes_what_comes_of_it(name, known):
    if "plain" not in known:
        known["plain"] = pretrained(config_with("plain"))
    assert pretrained(config_with("plain", name)) != known["plain"]


@pytest.mark.parametrize(
    "name", ["projector.weights", "planning.predictor", "planning.schedule"]
)
def test_a_part_that_is_needed_is_not_null(name):
    options = ["data=d", "encoder=e", f"{name}=null"]
    with pytest.raises(OptionError, match=f"{name} must be given, got null"):
        recipe_of(compose_config("train", options))


def test_of_an_option_given_twice_the_last_counts():
    name = "tabletop.proprio_estimator.hidden"  # a field that the YAML leaves out
    options = ["data=d", "encoder=e", f"{name}=8", f"{name}=16"]
    assert recipe_of(compose_config("train", options)).tabletop.proprio_estimator == (
        ProprioEstimatorRecipe(hidden=16)
    )
