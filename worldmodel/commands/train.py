"""Trains what plans on a frozen encoder: projector, predictor, distance, policy prior.

Killed, it goes on where it stopped when the same command is given the same `out`.
The run folder ends with `model/`, a checkpoint that plans; another run may take its
projector as it is (`projector_from=`).
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from worldmodel.checkpoints.outline import require_trainable
from worldmodel.commands.control import BANK_FILE
from worldmodel.commands.devices import choose_device
from worldmodel.commands.frozen_encoders import (
    kept_as,
    on_device,
    open_encoder,
    say_tokens,
)
from worldmodel.commands.limits import MOST_SEED, require_whole
from worldmodel.commands.longer import with_earlier_steps
from worldmodel.commands.progress import bar
from worldmodel.commands.run_folder import check_sources, open_run_folder
from worldmodel.commands.train_options import (
    given_projectors,
    open_practice,
    projectors_hash,
    recipe_of,
    training_history,
)
from worldmodel.commands.training import (
    OnStep,
    finish_training,
    followed,
    training_frames,
)
from worldmodel.commands.views import encoder_view
from worldmodel.data import FrameCache, Windows
from worldmodel.encoders import FrozenEncoder
from worldmodel.errors import OptionError
from worldmodel.evaluation.frame_bank import save_bank
from worldmodel.model import WorldModel
from worldmodel.training.distributed import launched
from worldmodel.training.recipe import Follow, Recipe, Run, train_world_model

EXAMPLE = (
    "worldmodel train data=data/play encoder=runs/pretrain/first/encoder "
    "out=runs/train/first"
)
CARD = """# World model

Plans toward goal images. Trained by `worldmodel train` on {frames} frames of play, on
the frozen encoder {encoder}. The play was collected so: {collection}. Recipe and
dataset stand in `config.json`; it has not been evaluated yet:
`worldmodel evaluate model={path}`.
"""
MOST_BANK = 100_000  # frames
# What learns from another stage's result begins anew when that goes on.
STALE = {"projector.schedule.steps": ["planning.safetensors", "planning.jsonl"]}


def run(config: DictConfig) -> int:
    """Trains stages 2 to 5 and writes the world model."""
    if launched() > 1:
        raise OptionError(
            "train runs in one process, only pretrain in several: start it without "
            "torchrun"
        )
    with ExitStack() as held:
        return _train(with_earlier_steps(config), held)


def _train(config: DictConfig, held: ExitStack) -> int:
    require_whole(config, "bank", 0, MOST_BANK)
    require_whole(config, "seed", 0, MOST_SEED)
    recipe, kept = recipe_of(config), kept_as(config)
    device = choose_device(config.device)
    encoder, encoder_history = open_encoder(config)
    view = encoder_view(config, encoder.spec, encoder_history)
    frames = training_frames(config, view)
    encoder = encoder.sized(frames.spec.height, frames.spec.width)
    view = replace(view, height=frames.spec.height, width=frames.spec.width)
    practised = open_practice(config, frames, view)
    _check_spec(recipe, encoder, frames)
    given = given_projectors(config, encoder, recipe, frames)
    folder = held.enter_context(open_run_folder("train", config, STALE)).path
    check_sources(
        folder,
        {
            "data": frames.fingerprint,
            "encoder": encoder.weights_hash,
            "projector_from": given and projectors_hash(given),
            "practice": [practice.fingerprint for practice in practised],
        },
    )
    told = (encoder_history, device, given)
    history = training_history(config, frames, practised, *told)
    tokens = Path(config.tokens) if config.tokens else None
    if encoder.published_at is not None:
        place = tokens or folder / "tokens"
        encoder = on_device(encoder, device)
        say_tokens(encoder, [frames, *practised], place, recipe.still, kept)
    with bar(len(frames.episodes), "encode", "episode") as progress:

        def encoded(done: int, total: int) -> None:
            del total
            progress.update(done - progress.n)

        run = Run(
            folder=folder,
            device=device,
            follow=_follow(folder),
            tokens=tokens,
            on_episode=encoded,
            kept=kept,
        )
        model = train_world_model(
            recipe, encoder, frames, run, given, practised, history
        )
    _save(model, frames, config.bank, folder)
    finish_training(folder, "train")
    return 0


def _check_spec(recipe: Recipe, encoder: FrozenEncoder, frames: FrameCache) -> None:
    """Refuses sizes that do not fit before anything is trained."""
    try:
        spec = recipe.spec(encoder, frames)
        require_trainable(lambda: WorldModel(spec))
    except ValueError as error:
        raise OptionError(str(error)) from error


def _follow(folder: Path) -> Follow:
    def follow(stage: str, steps: int) -> AbstractContextManager[OnStep]:
        return followed(stage, steps, folder / f"{stage}.jsonl")

    return follow


def _save(model: WorldModel, frames: FrameCache, bank: int, folder: Path) -> None:
    """Writes the checkpoint, and frames beside it that show what it imagines."""
    path = folder / "model"
    card = CARD.format(
        frames=len(frames.frames),
        encoder=model.encoder.weights_hash[:12],
        path=path,
        collection=json.dumps(dict(frames.spec.collection)),
    )
    model.save_pretrained(path, card)
    if bank:
        windows = Windows(frames, "train", length=1)
        some = windows.at(windows.spread(min(bank, len(windows)))).frames[:, 0]
        save_bank(some.numpy(), path / BANK_FILE)
    print(f"the world model is in {path}")
