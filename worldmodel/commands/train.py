"""Trains what plans on a frozen encoder: predictor, memory, distance, habit.

Killed, it goes on where it stopped when the same command is given the same `out`.
The run folder ends with `model/`, a checkpoint that plans.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from worldmodel.anchor import Anchor
from worldmodel.commands.control import BANK_FILE
from worldmodel.commands.instantiate import instantiate
from worldmodel.commands.progress import bar
from worldmodel.commands.run_folder import open_run_folder
from worldmodel.commands.training import choose_device, followed, open_frames
from worldmodel.costs import GoalCost
from worldmodel.data import FrameCache, Windows
from worldmodel.distances import (
    LearnedDistances,
    LearnedSpec,
    LookSpec,
    TemporalDistance,
)
from worldmodel.encoders import FrozenEncoder
from worldmodel.errors import OptionError
from worldmodel.evaluation.frame_bank import save_bank
from worldmodel.habit import Habit, HabitSpec
from worldmodel.memory import Memory, MemorySpec
from worldmodel.model import WorldModel, WorldModelSpec
from worldmodel.parts import load_compressor, load_encoder
from worldmodel.predictors import ActionPredictor, Compressor
from worldmodel.training.distance import DistanceRecipe, train_distance
from worldmodel.training.dynamics import DynamicsRecipe, train_dynamics
from worldmodel.training.felt import proprio_statistics, standardised_proprio
from worldmodel.training.habit import HabitRecipe, train_habit
from worldmodel.training.latents import LatentEpisodes, anchored, latent_episodes
from worldmodel.training.memory import MemoryRecipe, Play, train_memory
from worldmodel.training.places import HAND, place_targets
from worldmodel.training.predictor import PredictorRecipe, train_predictor
from worldmodel.training.reads import Reads, place_directions, still_directions
from worldmodel.training.rests import settled
from worldmodel.training.tokens import TokenCache, encode_dataset
from worldmodel.training.words import find_words, word_sums, word_targets

_PLAIN = ("still", "words", "places", "proprio", "felt", "anchor")  # options of the recipe
EXAMPLE = "worldmodel train data=data/play encoder=runs/pretrain/first/encoder"
CARD = """# World model

Plans toward goal images. Trained by `worldmodel train` on {frames} frames of play, on
the frozen encoder {encoder}. Recipe and dataset stand in `config.json`; it has not been
evaluated yet: `worldmodel evaluate model={path}`.
"""


def run(config: DictConfig) -> int:
    """Trains the stages one after the other and writes the world model."""
    recipes = _Recipes.of(config)
    device = choose_device(config.device)
    encoder, encoder_history = load_encoder(config.encoder)
    begin = _given(config.compressor, encoder, recipes.dynamics)
    frames = open_frames(config.data)
    spec = _spec(encoder, recipes, frames, config)
    _check_reads(config, recipes, encoder.spec.things)
    _check_words(config.words, encoder)
    folder = open_run_folder("train", config).path
    cache = _encode(encoder, frames, folder, config.still, device)
    words = _word_targets(encoder, frames, config.words, recipes.dynamics.seed)
    places = place_targets(frames, words, encoder.spec.things if config.places else 0)
    job = _CompressorJob(recipes.dynamics, cache, words, places, folder, device)
    compressor = job.train(begin)
    data = latent_episodes(compressor.to(device), cache)
    felt = standardised_proprio(frames, config.proprio)
    reads = Reads.of(data.latents, felt, words, places, frames, encoder.spec.things)
    things = _things(recipes.distance.spec.look, config, data, reads)
    anchor = _anchor(config, reads, things, frames)
    if anchor is not None:
        data = anchored(data, anchor, frames)
    actions = torch.from_numpy(np.array(frames.actions))
    looked = None if things is None else _looked_at(things, reads)
    memory, play = _remembered(recipes, data, actions, looked)
    data = play.settled
    predictor = _train_predictor(recipes.predictor, data, actions, looked, folder)
    if memory is not None and recipes.memory.remembers:
        memory = _train_memory(recipes.memory, memory, predictor, play, folder)
    distance = _train_distance(recipes.distance, data, looked, folder)
    habit = _train_habit(recipes.habit, data, actions, distance, folder)
    history = {
        "dataset": frames.fingerprint,
        "frames": len(frames.frames),
        "device": device.type,
        "recipe": {
            **{name: config[name] for name in _PLAIN},
            "compressor_given": config.compressor is not None,
            **{
                name: OmegaConf.to_container(config[name], resolve=True)
                for name in ("dynamics", "predictor", "memory", "distance", "habit")
            },
        },
        "encoder": encoder_history,
    }
    model = WorldModel(spec, history)
    model.encoder = encoder
    model.compressor = compressor
    model.predictor = predictor
    model.distances = LearnedDistances(
        distance, reads.felt_distance(config.felt), reads.seen_distance()
    )
    model.habit, model.anchor = habit, anchor
    model.memory = memory if recipes.memory.remembers else None
    model.cpu().requires_grad_(False).eval()
    path = folder / "model"
    card = CARD.format(
        frames=len(frames.frames), encoder=encoder.weights_hash[:12], path=path
    )
    model.save_pretrained(path, card)
    if config.bank:
        windows = Windows(frames, "train", length=1)
        some = windows.at(windows.spread(min(config.bank, len(windows)))).frames[:, 0]
        save_bank(some.numpy(), path / BANK_FILE)
    print(f"the world model is in {path}")
    return 0


@dataclass(frozen=True)
class _Recipes:
    """The recipes of the stages."""

    dynamics: DynamicsRecipe
    predictor: PredictorRecipe
    memory: MemoryRecipe
    distance: DistanceRecipe
    habit: HabitRecipe
    cost: GoalCost

    @classmethod
    def of(cls, config: DictConfig) -> _Recipes:
        return cls(*(instantiate(config[field.name]) for field in fields(cls)))

    @property
    def things(self) -> int:
        """Directions that say where things are, which a memory keeps; 0 for none."""
        look = self.distance.spec.look
        return 0 if not (look.read and self.memory.alike) else look.aim


def _given(
    path: str | None, encoder: FrozenEncoder, recipe: DynamicsRecipe
) -> Compressor | None:
    """The compressor to go on from, or None where training begins with nothing."""
    if path is None:
        return None
    given = load_compressor(path, encoder)
    if given.spec != recipe.compressor:
        raise OptionError(
            f"{path} is a compressor {given.spec}, dynamics.compressor says "
            f"{recipe.compressor}"
        )
    return given


def _check_reads(config: DictConfig, recipes: _Recipes, things: int) -> None:
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


def _check_words(words: int, encoder: FrozenEncoder) -> None:
    """Raises unless words are none, or as many as the encoder itself has."""
    own = encoder.spec.places
    if own and words not in (0, own):
        raise OptionError(f"words must be {own}, as the encoder has, or 0, got {words}")


def _things(
    look: LookSpec, config: DictConfig, data: LatentEpisodes, reads: Reads
) -> torch.Tensor | None:
    """Directions that say where things are, where the distance looks at them."""
    if not look.read:
        return None
    assert reads.seen is not None
    count = look.read - config.proprio
    if config.places:
        return place_directions(data, reads.seen, count)
    return still_directions(data, reads.seen, look.aim, count)


def _looked_at(things: torch.Tensor, reads: Reads) -> torch.Tensor:
    """Directions (read, D): where things are, and proprio as latents tell it."""
    assert reads.felt is not None
    return torch.cat((things, reads.felt.weight.to(things)))


def _anchor(
    config: DictConfig, reads: Reads, things: torch.Tensor | None, frames: FrameCache
) -> Anchor | None:
    if not config.anchor or reads.felt is None:
        return None
    mean, std = proprio_statistics(frames, config.proprio)
    return Anchor.of(reads.felt, mean, std, things)


def _remembered(
    recipes: _Recipes,
    data: LatentEpisodes,
    actions: torch.Tensor,
    looked: torch.Tensor | None,
) -> tuple[Memory | None, Play]:
    """An untrained memory, or None; and play as it was seen, and as it turned out."""
    if looked is None or not recipes.things:
        return None, Play(data, data, actions)
    recipe = recipes.memory
    memory = Memory.of(looked, recipes.things, recipe.hidden).to(looked.device)
    truth = settled(data, memory, recipe.alike, recipe.within)
    return memory, Play(data, truth, actions)


def _word_targets(
    encoder: FrozenEncoder, frames: FrameCache, count: int, seed: int
) -> torch.Tensor:
    """Where the encoder's visual words are, or others where it has none."""
    if not count:
        return torch.zeros(len(frames.frames), 0, 4)
    usual, own = encoder.encoder.usual.cpu(), encoder.encoder.words
    if own is None:
        generator = torch.Generator().manual_seed(seed)
        words, things = find_words(frames, count, usual, generator), 0
    else:
        words, things = deepcopy(own).cpu(), own.things
    return word_targets(frames, word_sums(frames, words, usual), things)


def _encode(
    encoder: FrozenEncoder,
    frames: FrameCache,
    folder: Path,
    still: float,
    device: torch.device,
) -> TokenCache:
    with bar(len(frames.episodes), "encode", "episode") as progress:

        def advance(done: int, total: int) -> None:
            del total
            progress.update(done - progress.n)

        path = folder / "tokens"
        return encode_dataset(encoder, frames, path, still, device, advance)


@dataclass(frozen=True, eq=False)
class _CompressorJob:
    """Trains the compressor; the predictor that learns beside it is not kept."""

    recipe: DynamicsRecipe
    cache: TokenCache
    words: torch.Tensor
    places: torch.Tensor
    folder: Path
    device: torch.device

    def train(self, begin: Compressor | None) -> Compressor:
        log, state = self.folder / "dynamics.txt", self.folder / "dynamics.safetensors"
        with followed("compressor", self.recipe.schedule.steps, log) as on_step:
            dynamics = train_dynamics(
                self.recipe,
                self.cache,
                self.words,
                self.places,
                self.device,
                state,
                on_step,
                begin,
            )
        return dynamics.compressor.requires_grad_(False)


def _train_predictor(
    recipe: PredictorRecipe,
    data: LatentEpisodes,
    actions: torch.Tensor,
    looked: torch.Tensor | None,
    folder: Path,
) -> ActionPredictor:
    log, state = folder / "predictor.txt", folder / "predictor.safetensors"
    with followed("predictor", recipe.schedule.steps, log) as on_step:
        return train_predictor(recipe, data, actions, state, on_step, looked)


def _train_memory(
    recipe: MemoryRecipe,
    memory: Memory,
    predictor: ActionPredictor,
    play: Play,
    folder: Path,
) -> Memory:
    log, state = folder / "memory.txt", folder / "memory.safetensors"
    with followed("memory", recipe.schedule.steps, log) as on_step:
        return train_memory(recipe, memory, predictor, play, state, on_step)


def _train_distance(
    recipe: DistanceRecipe,
    data: LatentEpisodes,
    looked: torch.Tensor | None,
    folder: Path,
) -> TemporalDistance:
    log, state = folder / "distance.txt", folder / "distance.safetensors"
    with followed("distance", recipe.schedule.steps, log) as on_step:
        return train_distance(recipe, data, state, on_step, looked)


def _train_habit(
    recipe: HabitRecipe,
    data: LatentEpisodes,
    actions: torch.Tensor,
    distance: TemporalDistance,
    folder: Path,
) -> Habit:
    log, state = folder / "habit.txt", folder / "habit.safetensors"
    with followed("habit", recipe.schedule.steps, log) as on_step:
        return train_habit(recipe, data, actions, distance, state, on_step)


def _spec(
    encoder: FrozenEncoder, recipes: _Recipes, frames: FrameCache, config: DictConfig
) -> WorldModelSpec:
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
        memory=memory,
        cost=recipes.cost,
    )
