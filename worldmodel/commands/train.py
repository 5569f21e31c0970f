"""Trains what plans on a frozen encoder: reader, predictor, memory, distance, habit.

Killed, it goes on where it stopped when the same command is given the same `out`.
The run folder ends with `model/`, a checkpoint that plans, and with `compressor/`,
which another run may take as it is.
"""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig

from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.checkpoints.parts import load_encoder, save_compressor
from worldmodel.commands.control import BANK_FILE
from worldmodel.commands.progress import bar
from worldmodel.commands.run_folder import check_sources, open_run_folder
from worldmodel.commands.train_options import (
    Recipes,
    check_reads,
    check_words,
    given_compressor,
    model_spec,
    open_practice,
    training_history,
)
from worldmodel.commands.training import choose_device, followed, open_frames
from worldmodel.costs.goal_projection import LookSpec
from worldmodel.costs.learned import LearnedDistances
from worldmodel.costs.temporal import TemporalDistance
from worldmodel.data import FrameCache, Windows
from worldmodel.encoders import FrozenEncoder
from worldmodel.evaluation.frame_bank import save_bank
from worldmodel.memory import Memory
from worldmodel.model import WorldModel
from worldmodel.policy_prior import Habit
from worldmodel.predictors import ActionPredictor
from worldmodel.projectors.projector import Compressor, CompressorSpec
from worldmodel.projectors.proprio_correction import Anchor
from worldmodel.training.blobs import find_words, word_sums, word_targets
from worldmodel.training.distance import DistanceRecipe, train_distance
from worldmodel.training.latents import (
    LatentEpisodes,
    anchored,
    joined,
    latent_episodes,
)
from worldmodel.training.memory import MemoryRecipe, Play, train_memory
from worldmodel.training.object_positions import place_targets
from worldmodel.training.policy_prior import HabitRecipe, train_habit
from worldmodel.training.predictor import PredictorRecipe, train_predictor
from worldmodel.training.projector import DynamicsRecipe, Targets, train_dynamics
from worldmodel.training.proprio import proprio_statistics, standardised_proprio
from worldmodel.training.proprio_estimator import ReaderRecipe, train_reader
from worldmodel.training.readouts import Reads, place_directions, still_directions
from worldmodel.training.smoothing import settled
from worldmodel.training.tokens import TokenCache, encode_dataset

EXAMPLE = (
    "worldmodel train data=data/play encoder=runs/pretrain/first/encoder "
    "compressor=runs/pretrain/first/compressor out=runs/train/first"
)
CARD = """# World model

Plans toward goal images. Trained by `worldmodel train` on {frames} frames of play, on
the frozen encoder {encoder}. The play was collected so: {collection}. Recipe and
dataset stand in `config.json`; it has not been evaluated yet:
`worldmodel evaluate model={path}`.
"""
COMPRESSOR_CARD = """# Compressor

Of the encoder's tokens to one latent, trained by `worldmodel train`; the model beside
it plans with it. `worldmodel train compressor=... refine=false` takes it as it is.
"""


def run(config: DictConfig) -> int:
    """Trains the stages one after the other and writes the world model."""
    recipes = Recipes.of(config)
    device = choose_device(config.device)
    encoder, encoder_history = load_encoder(config.encoder)
    begin = given_compressor(config, encoder, recipes.dynamics)
    frames = open_frames(config.data)
    practised = open_practice(config, frames)
    spec = model_spec(encoder, recipes, frames, config)
    check_reads(config, recipes, encoder.spec.things)
    check_words(config.words, encoder)
    folder = open_run_folder("train", config).path
    check_sources(
        folder,
        {
            "data": frames.fingerprint,
            "encoder": encoder.weights_hash,
            "compressor": None if begin is None else weights_hash(begin),
            "practice": [practice.fingerprint for practice in practised],
        },
    )
    targets = _targets(encoder, frames, config, recipes.dynamics.seed)
    kept = Path(config.tokens) if config.tokens else folder / "tokens"
    seen = _Seen(encoder, kept, config.still, device)
    cache = seen.tokens(frames)
    if config.refine:
        job = _CompressorJob(recipes.dynamics, cache, targets, folder, device)
        compressor = job.train(begin).to(device)
    else:
        assert begin is not None  # `given_compressor` saw to it
        compressor = begin.to(device)
    alone = folder / "compressor"
    save_compressor(alone, compressor, encoder.encoder, COMPRESSOR_CARD)
    data = latent_episodes(compressor, cache)
    felt = standardised_proprio(frames, config.proprio)
    reader = None
    if spec.reader is not None:
        reader = _train_reader(recipes.reader, spec.reader, cache, felt, folder, device)
    words, places, things = targets.words, targets.places, encoder.spec.things
    reads = Reads.of(data.latents, felt, words, places, frames, things)
    directions = _things(recipes.distance.spec.look, config, data, reads)
    anchor = _anchor(config, reads, directions, frames)
    data = _corrected(data, anchor, frames)
    actions = torch.from_numpy(np.array(frames.actions))
    for practice in practised:
        more = latent_episodes(compressor, seen.tokens(practice))
        more = _corrected(more, anchor, practice)
        data = joined(data, more, config.practice_weight)
        actions = torch.cat((actions, torch.from_numpy(np.array(practice.actions))))
    looked = None if directions is None else _looked_at(directions, reads)
    memory, play = _remembered(recipes, data, actions, looked)
    data = play.settled
    predictor = _train_predictor(recipes.predictor, data, actions, looked, folder)
    if memory is not None and recipes.memory.remembers:
        memory = _train_memory(recipes.memory, memory, predictor, play, folder)
    distance = _train_distance(recipes.distance, data, looked, folder)
    habit = _train_habit(recipes.habit, data, actions, distance, folder)
    history = training_history(config, frames, practised, encoder_history, device)
    model = WorldModel(spec, history)
    model.encoder, model.compressor, model.predictor = encoder, compressor, predictor
    model.distances = LearnedDistances(
        distance, reads.felt_distance(config.felt), reads.seen_distance()
    )
    model.habit, model.anchor, model.reader = habit, anchor, reader
    model.memory = memory if recipes.memory.remembers else None
    _save(model.cpu().requires_grad_(False).eval(), frames, config.bank, folder)
    return 0


def _save(model: WorldModel, frames: FrameCache, bank: int, folder: Path) -> None:
    """Writes the checkpoint, and frames beside it that show what it imagines."""
    path = folder / "model"
    made = model.encoder.weights_hash[:12]
    card = CARD.format(
        frames=len(frames.frames),
        encoder=made,
        path=path,
        collection=json.dumps(dict(frames.spec.collection)),
    )
    model.save_pretrained(path, card)
    if bank:
        windows = Windows(frames, "train", length=1)
        some = windows.at(windows.spread(min(bank, len(windows)))).frames[:, 0]
        save_bank(some.numpy(), path / BANK_FILE)
    print(f"the world model is in {path}")


def _corrected(
    data: LatentEpisodes, anchor: Anchor | None, frames: FrameCache
) -> LatentEpisodes:
    return data if anchor is None else anchored(data, anchor, frames)


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
    recipes: Recipes,
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


def _targets(
    encoder: FrozenEncoder, frames: FrameCache, config: DictConfig, seed: int
) -> Targets:
    """What latents shall tell: of the encoder's words and things, where it has any."""
    words = _word_targets(encoder, frames, config.words, seed)
    things = encoder.spec.things if config.places else 0
    return Targets(words, place_targets(frames, words, things))


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


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the frozen encoder sees in datasets, kept in `folder`."""

    encoder: FrozenEncoder
    folder: Path
    still: float
    device: torch.device

    def tokens(self, frames: FrameCache) -> TokenCache:
        with bar(len(frames.episodes), "encode", "episode") as progress:

            def advance(done: int, total: int) -> None:
                del total
                progress.update(done - progress.n)

            return encode_dataset(
                self.encoder, frames, self.folder, self.still, self.device, advance
            )


@dataclass(frozen=True, eq=False)
class _CompressorJob:
    """Trains the compressor; the predictor that learns beside it is not kept."""

    recipe: DynamicsRecipe
    cache: TokenCache
    targets: Targets
    folder: Path
    device: torch.device

    def train(self, begin: Compressor | None) -> Compressor:
        log, state = self.folder / "dynamics.txt", self.folder / "dynamics.safetensors"
        with followed("compressor", self.recipe.schedule.steps, log) as on_step:
            dynamics = train_dynamics(
                self.recipe,
                self.cache,
                self.targets,
                self.device,
                state,
                on_step,
                begin,
            )
        return dynamics.compressor.requires_grad_(False)


def _train_reader(
    recipe: ReaderRecipe,
    spec: CompressorSpec,
    cache: TokenCache,
    felt: torch.Tensor,
    folder: Path,
    device: torch.device,
) -> Compressor:
    log, state = folder / "reader.txt", folder / "reader.safetensors"
    with followed("reader", recipe.schedule.steps, log) as on_step:
        return train_reader(recipe, spec, cache, felt, device, state, on_step)


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
