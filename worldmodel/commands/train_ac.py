"""Trains V-JEPA 2-AC's predictor on a frozen published encoder and recorded poses.

From nothing, or on from given weights (`predictor=`). Killed, it goes on where it
stopped when the same command is given the same `out`. The run folder ends with
`model/`, which `plan` and `evaluate` take as `model=`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig

from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.commands.devices import choose_device
from worldmodel.commands.frozen_encoders import duration, kept_as, on_device, say_tokens
from worldmodel.commands.instantiate import instantiate
from worldmodel.commands.limits import MOST_SEED, require_whole
from worldmodel.commands.longer import with_earlier_steps
from worldmodel.commands.progress import bar
from worldmodel.commands.run_folder import check_sources, open_run_folder
from worldmodel.commands.train_ac_options import Given, given_by
from worldmodel.commands.training import (
    OnStep,
    finish_training,
    followed,
)
from worldmodel.data import SplitRule
from worldmodel.errors import OptionError
from worldmodel.memory import moved, require_memory, size_of
from worldmodel.predictors import PatchPredictor
from worldmodel.training.distributed import launched
from worldmodel.training.loop import Schedule, fit
from worldmodel.training.patch_predictor import (
    PatchEpisodes,
    PatchPredictorRecipe,
    patch_predictor_job,
)
from worldmodel.training.recipe import Run
from worldmodel.training.step_cost import step_cost
from worldmodel.training.updates import Job

EXAMPLE = (
    "worldmodel train_ac data=data/franka encoder=vjepa2-ac-vitg.pt "
    "predictor=vjepa2-ac-vitg.pt published.resize=256 out=runs/train_ac/first"
)
STAGE = "predictor"
STILL = 1.0  # every frame is encoded alone, as a tubelet that stands still
MORE = (
    "take fewer recipe.windows or recipe.frames, a smaller architecture, or a device "
    "with more"
)
OPTIMISED = 4 * 4  # bytes a parameter: itself, its gradient, AdamW's two moments
CARD = """# V-JEPA 2-AC

Predicts patch tokens, and plans toward goal images. Trained by `worldmodel train_ac` on
{frames} frames, on the frozen encoder {encoder}. Recipe and dataset stand in
`config.json`; it has not been evaluated yet: `worldmodel evaluate model={path} env=…`.
"""


def run(config: DictConfig) -> int:
    """Trains the predictor and writes the model."""
    if launched() > 1:
        raise OptionError("train_ac runs in one process: start it without torchrun")
    config = with_earlier_steps(config)
    require_whole(config, "seed", 0, MOST_SEED)
    recipe, schedule = instantiate(config.recipe), instantiate(config.schedule)
    device = choose_device(config.device)
    given = given_by(config)
    with open_run_folder("train_ac", config) as run_folder:
        folder = run_folder.path
        check_sources(
            folder,
            {
                "data": given.frames.fingerprint,
                "encoder": given.encoder.weights_hash,
                "predictor": weights_hash(given.model.predictor),
            },
        )
        _train(config, given, recipe, schedule, device, folder)
        finish_training(folder, "train_ac")
    print(f"the model is in {folder / 'model'}")
    return 0


def _train(
    config: DictConfig,
    given: Given,
    recipe: PatchPredictorRecipe,
    schedule: Schedule,
    device: torch.device,
    folder: Path,
) -> None:
    """Encodes, says what the training takes, trains, and writes the model."""
    frames, model, kept = given.frames, given.model, kept_as(config)
    place = Path(config.tokens).expanduser() if config.tokens else folder / "tokens"
    say_tokens(on_device(given.encoder, device), [frames], place, STILL, kept)
    with bar(len(frames.episodes), "encode", "episode") as progress:
        work = Run(
            folder=folder,
            device=device,
            follow=_follow(folder),
            tokens=place,
            on_episode=lambda done, total: _advance(progress, done),
            kept=kept,
        )
        tokens = work.encoded(given.encoder, frames, STILL)
    given.encoder.cpu()  # the predictor learns without it
    held_out = np.flatnonzero(~SplitRule().holds("train", frames.episodes))
    lengths = tuple(frames.lengths.tolist())
    episodes = PatchEpisodes(tokens, given.states, lengths, tuple(held_out.tolist()))
    learns = model.predictor
    moved(learns, device, "the predictor", MORE)
    _say_training(config, recipe, schedule, learns, episodes)
    with work.training(STAGE, schedule, config.seed) as training:
        job = patch_predictor_job(recipe, learns, episodes, training.generator)
        fit({STAGE: job}, training)
    model.cpu().requires_grad_(False).eval()
    path = folder / "model"
    card = CARD.format(
        frames=len(frames.frames), encoder=given.encoder.weights_hash[:12], path=path
    )
    model.save_pretrained(path, card)


def _say_training(
    config: DictConfig,
    recipe: PatchPredictorRecipe,
    schedule: Schedule,
    predictor: PatchPredictor,
    episodes: PatchEpisodes,
) -> None:
    """Says what memory and time the training takes, measured on two windows.

    Raises:
        NotEnoughMemoryError: the device has not as much.
    """
    chance = torch.Generator().manual_seed(config.seed)

    def job_of(windows: int) -> Job:
        some = replace(recipe, windows=windows)
        return patch_predictor_job(some, predictor, episodes, chance)

    count = sum(p.numel() for p in job_of(1).parameters)
    device, there = next(predictor.parameters()).device, size_of(predictor)
    beside = count * OPTIMISED - there  # what a training adds
    require_memory("training", beside, device, MORE)
    cost = step_cost(job_of, recipe.windows)
    optimised, kept = (size / 2**30 for size in (count * OPTIMISED, cost.kept))
    print(
        f"training {count / 1e6:.4g} M parameters: {optimised:.2f} GiB for weights, "
        f"gradients and AdamW, {kept:.2f} GiB for what a step of {recipe.windows} "
        f"windows keeps for its gradient; about {cost.seconds:.3g} s a step, "
        f"{duration(cost.seconds * schedule.steps)} for {schedule.steps} (measured on "
        "two windows)"
    )
    require_memory("training", beside + cost.kept, device, MORE)


def _follow(folder: Path) -> Any:
    def follow(stage: str, steps: int) -> AbstractContextManager[OnStep]:
        return followed(stage, steps, folder / f"{stage}.jsonl")

    return follow


def _advance(progress: Any, done: int) -> None:
    progress.update(done - progress.n)
