"""What `worldmodel train` is asked for: recipes, what they need, what they make."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from worldmodel.checkpoints.parts import load_compressor
from worldmodel.commands.instantiate import instantiate
from worldmodel.commands.training import open_frames
from worldmodel.costs.goal_cost import GoalCost
from worldmodel.costs.learned import LearnedSpec
from worldmodel.data import FrameCache
from worldmodel.encoders import FrozenEncoder
from worldmodel.errors import OptionError
from worldmodel.evaluation.protocol import PROTOCOL_VERSION, SPLIT_SEEDS
from worldmodel.memory import MemorySpec
from worldmodel.model_spec import WorldModelSpec
from worldmodel.policy_prior import HabitSpec
from worldmodel.projectors.projector import Compressor, CompressorSpec
from worldmodel.training.distance import DistanceRecipe
from worldmodel.training.memory import MemoryRecipe
from worldmodel.training.object_positions import HAND
from worldmodel.training.policy_prior import HabitRecipe
from worldmodel.training.predictor import PredictorRecipe
from worldmodel.training.projector import DynamicsRecipe
from worldmodel.training.proprio_estimator import ReaderRecipe

_PLAIN = (
    "still",
    "words",
    "places",
    "proprio",
    "felt",
    "anchor",
    "practice_weight",
)
_STAGES = ("dynamics", "reader", "predictor", "memory", "distance", "habit")


@dataclass(frozen=True)
class Recipes:
    """The recipes of the stages."""

    dynamics: DynamicsRecipe
    reader: ReaderRecipe
    predictor: PredictorRecipe
    memory: MemoryRecipe
    distance: DistanceRecipe
    habit: HabitRecipe
    cost: GoalCost

    @classmethod
    def of(cls, config: DictConfig) -> Recipes:
        return cls(*(instantiate(config[field.name]) for field in fields(cls)))

    @property
    def things(self) -> int:
        """Directions that say where things are, which a memory keeps; 0 for none."""
        look = self.distance.spec.look
        return 0 if not (look.read and self.memory.alike) else look.aim


def open_practice(config: DictConfig, frames: FrameCache) -> list[FrameCache]:
    """What models practised."""
    if config.practice_weight < 1:
        raise OptionError(
            f"practice_weight must be at least 1, got {config.practice_weight}"
        )
    practised = [open_frames(str(path)) for path in config.practice]
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


def given_compressor(
    config: DictConfig, encoder: FrozenEncoder, recipe: DynamicsRecipe
) -> Compressor | None:
    """The compressor to go on from, or None where training begins with nothing."""
    path = config.compressor
    if path is None:
        if not config.refine:
            raise OptionError(
                "refine=false takes the compressor as it is, but compressor is null; "
                "give compressor=... (a run of `worldmodel train` leaves one), or "
                "refine=true"
            )
        return None
    given = load_compressor(path, encoder)
    if given.spec != recipe.compressor:
        raise OptionError(
            f"{path} is a compressor {given.spec}, dynamics.compressor says "
            f"{recipe.compressor}"
        )
    return given


def check_reads(config: DictConfig, recipes: Recipes, things: int) -> None:
    """Raises unless what is to be read from latents can be."""
    if not 0 <= config.felt <= config.proprio:
        raise OptionError(
            f"felt must be in [0, proprio={config.proprio}], got {config.felt}"
        )
    if config.places and not (config.words and things and config.proprio >= HAND):
        raise OptionError(
            f"places needs an encoder that knows things, words above 0 and at least "
            f"{HAND} dimensions of proprio, the hand's place; got {things} things, "
            f"words={config.words} and proprio={config.proprio}; or set it to false"
        )
    look = recipes.distance.spec.look
    if not look.read:
        return
    if not (config.proprio and config.words):
        raise OptionError(
            "distance.spec.look.read needs proprio and words above 0, got "
            f"{config.proprio} and {config.words}; or set it to 0"
        )
    most = config.proprio + 2 * config.words
    if not config.proprio < look.read <= most:
        raise OptionError(
            f"distance.spec.look.read must be 0 or in [{config.proprio + 1}, {most}]: "
            f"all of proprio={config.proprio}, and some directions that say where "
            f"things are; got {look.read}"
        )
    told = look.read - config.proprio
    if config.places and not look.aim == 3 * things <= told:
        raise OptionError(
            f"distance.spec.look.aim must be {3 * things}, the places of things in the "
            f"hand's coordinates, and read at least {config.proprio} more, got "
            f"{look.aim} and {look.read}"
        )
    if not 1 <= look.aim <= told:
        raise OptionError(
            f"distance.spec.look.aim must be in [1, {told}], the directions that say "
            f"where things are, got {look.aim}"
        )


def _seen(config: DictConfig, encoder: FrozenEncoder) -> int:
    """Numbers that say where things are, or words where the encoder has no things."""
    things = min(config.words, encoder.spec.things)
    if things and config.places:
        return 3 * things
    return 2 * (things or config.words)


def check_words(words: int, encoder: FrozenEncoder) -> None:
    """Raises unless words are none, or as many as the encoder itself has."""
    own = encoder.spec.places
    if own and words not in (0, own):
        raise OptionError(f"words must be {own}, as the encoder has, or 0, got {words}")


def model_spec(
    encoder: FrozenEncoder, recipes: Recipes, frames: FrameCache, config: DictConfig
) -> WorldModelSpec:
    """What the stages will make, together."""
    predictor = recipes.predictor.spec
    distance = recipes.distance.spec
    memory = None
    if recipes.things and recipes.memory.remembers:
        dim = recipes.dynamics.compressor.dim
        memory = MemorySpec(dim, recipes.things, recipes.memory.hidden)
    return WorldModelSpec(
        encoder=encoder.spec,
        compressor=recipes.dynamics.compressor,
        predictor=predictor,
        action_spec=frames.spec.action_spec,
        distances=LearnedSpec(distance, config.felt, _seen(config, encoder)),
        habit=HabitSpec(distance.look, predictor.action_size, recipes.habit.hidden),
        anchor=config.proprio if config.anchor else 0,
        reader=reader_spec(config, recipes),
        memory=memory,
        cost=recipes.cost,
    )


def reader_spec(config: DictConfig, recipes: Recipes) -> CompressorSpec | None:
    """The reader's architecture; None where nothing would listen to it."""
    if not (config.anchor and config.proprio):
        return None
    return recipes.reader.spec(recipes.dynamics.compressor, config.proprio)


def training_history(
    config: DictConfig,
    frames: FrameCache,
    practised: list[FrameCache],
    encoder_history: dict[str, Any],
    device: torch.device,
) -> dict[str, Any]:
    """How the model was made, as plain JSON."""
    return {
        "dataset": frames.fingerprint,
        "collection": dict(frames.spec.collection),
        "frames": len(frames.frames),
        "protocol": training_protocol(),
        "practice": [practice.fingerprint for practice in practised],
        "device": device.type,
        "recipe": {
            **{name: config[name] for name in _PLAIN},
            "compressor_given": config.compressor is not None,
            "refine": config.refine,
            **{
                name: OmegaConf.to_container(config[name], resolve=True)
                for name in _STAGES
            },
        },
        "encoder": encoder_history,
    }


def training_protocol() -> dict[str, Any]:
    """The rules of evaluation at this time, and which seeds they leave to training."""
    seeds = SPLIT_SEEDS["train"]
    return {"version": PROTOCOL_VERSION, "train_seeds": [seeds.start, seeds.stop]}
