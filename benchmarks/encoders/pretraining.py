"""Pretraining of a row's encoder with the compute that every row has."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.objectives.learner import SEEN, Learner, Play
from worldmodel.checkpoints.encoders import save_encoder
from worldmodel.commands.training_log import TrainingLog
from worldmodel.data import FrameCache, Windows
from worldmodel.encoders import VideoViT, VideoViTSpec
from worldmodel.files.atomic import new_file
from worldmodel.files.json_file import read_object
from worldmodel.hardware import bf16_pays, synchronize
from worldmodel.projectors.projector import Projector
from worldmodel.training.collapse import latent_stats
from worldmodel.training.loop import Schedule, Training, fit

Make = Callable[[Play], Learner]
WARM, COUNTED, TIMED = 2, 4, 8  # steps that are thrown away, before the training
ROUNDS = 3  # of those that are timed
WARMUP = 200  # steps until the peak of the learning rate, at most
WATCHED = 256  # held-out moments by which a collapse would show
LOOKS = 40  # times that they are looked at


@dataclass(frozen=True)
class Pretraining:
    """What is the same for all rows.

    Attributes:
        encoder: architecture of the backbone.
        minutes: processor time of the optimisation; of a GPU, wall-clock time.
        moments: that a step encodes, about.
        learning_rate: its peak.
        seed: decides weights and batches.
    """

    encoder: VideoViTSpec
    minutes: float
    moments: int = 256
    learning_rate: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.minutes < math.inf:
            raise ValueError(f"minutes must be above 0 and finite, got {self.minutes}")
        if self.moments < 16:
            raise ValueError(f"moments must be at least 16, got {self.moments}")

    def play(self, frames: FrameCache, device: torch.device) -> Play:
        """What an objective draws from, from the seed on."""
        torch.manual_seed(self.seed)
        generator = torch.Generator().manual_seed(self.seed)
        return Play(frames, self.encoder, generator, device, self.moments)


@dataclass(frozen=True)
class Plan:
    """How many steps a row's compute is; kept, since a second timing would differ.

    Attributes:
        steps: optimiser steps.
        moments: two-frame clips that a step encodes.
        seconds: processor time of a step (of a GPU, wall-clock time).
        flops: of a step, forward and backward.
    """

    steps: int
    moments: int
    seconds: float
    flops: float


class Clock:
    """Wall-clock and processor time of a row's stages [s], over kills, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.spent: dict[str, list[float]] = read_object(path) if path.exists() else {}

    @contextmanager
    def running(self, stage: str) -> Iterator[Callable[[], None]]:
        """Adds what is spent inside to a stage, at the end and when it is called."""
        before, begun = self.spent.get(stage, [0.0, 0.0]), _now()

        def note() -> None:
            rows = zip(before, _now(), begun, strict=True)
            self.spent[stage] = [round(b + now - then, 1) for b, now, then in rows]
            _write(self._path, self.spent)

        try:
            yield note
        finally:
            note()


def pretrained(
    make: Make | None,
    part: Pretraining,
    frames: FrameCache,
    folder: Path,
    device: torch.device,
) -> Path:
    """The folder of a row's encoder, trained first where it is not there.

    Killed, it goes on where it stopped. `plan.json` and `clock.json` have what it cost,
    `pretrain.jsonl` what would show a collapse.

    Args:
        make: the objective; None for random weights.
        part: how.
        frames: play.
        folder: of the row.
        device: computes.
    """
    path = folder / "encoder"
    if path.is_dir():
        return path
    if make is None:
        part.play(frames, device)  # seeds the weights
        save(path, VideoViT(part.encoder), None, part, frames)
        return path
    plan = planned(make, part, frames, folder / "plan.json", device)
    play = part.play(frames, device)
    learner = make(play)
    look = watch(learner.encoder, frames, device)
    with (
        Clock(folder / "clock.json").running("pretrain") as note,
        TrainingLog(folder / "pretrain.jsonl") as log,
    ):

        def on_step(step: int, terms: dict[str, float]) -> None:
            if step % max(1, plan.steps // LOOKS) == 0 or step == plan.steps:
                log.write(step, {**terms, **look()})
                note()

        schedule = Schedule(
            plan.steps, part.learning_rate, warmup=min(WARMUP, plan.steps // 5)
        )
        state = folder / "state.safetensors"
        fit(
            {"pretrain": learner.job},
            Training(schedule, play.generator, state, on_step),
        )
    save(path, learner.encoder, learner.projector, part, frames)
    return path


def planned(
    make: Make,
    part: Pretraining,
    frames: FrameCache,
    path: Path,
    device: torch.device,
) -> Plan:
    """The kept plan, or a new one from a few steps of a learner that is thrown away."""
    if path.exists():
        return Plan(**read_object(path))
    bf16_pays(device)  # measures, which is no part of a step
    play = part.play(frames, device)
    learner = make(play)

    def some(steps: int) -> None:
        schedule = Schedule(steps, part.learning_rate)
        fit({"pretrain": learner.job}, Training(schedule, play.generator))
        synchronize(device)

    some(WARM)
    with FlopCounterMode(display=False) as counter:
        some(COUNTED)
    which = 1 if device.type == "cpu" else 0
    rounds = []
    for _ in range(ROUNDS):
        begun = _now()[which]
        some(TIMED)
        rounds.append((_now()[which] - begun) / TIMED)
    seconds = min(rounds)  # the one that others disturbed least
    steps = max(1, round(60 * part.minutes / seconds))
    flops = counter.get_total_flops() / COUNTED
    plan = Plan(steps, learner.moments, seconds, flops)
    _write(path, asdict(plan))
    return plan


def watch(
    encoder: VideoViT, frames: FrameCache, device: torch.device
) -> Callable[[], dict[str, float]]:
    """Looks at an encoder's tokens of held-out moments, the same at each call."""
    windows = Windows(frames, "validation", SEEN)
    moments = windows.at(windows.spread(min(WATCHED, len(windows)))).frames.to(device)

    @torch.no_grad()
    def look() -> dict[str, float]:
        tokens: Tensor = encoder.tokens(moments).float()
        return {f"token_{k}": v for k, v in asdict(latent_stats(tokens.cpu())).items()}

    return look


def save(
    path: Path,
    encoder: VideoViT,
    projector: Projector | None,
    part: Pretraining,
    frames: FrameCache,
) -> None:
    """Writes an encoder as `worldmodel train` reads it."""
    history = {
        "dataset": frames.fingerprint,
        "collection": dict(frames.spec.collection),
        "frames": len(frames.frames),
        "pretraining": asdict(part),
    }
    card = "# Encoder\n\nOf `python -m benchmarks.encoders`, to compare objectives.\n"
    save_encoder(path, encoder.cpu(), history, card, projector and projector.cpu())


def _now() -> tuple[float, float]:
    """Wall-clock time, and processor time of this process and its children [s]."""
    return time.monotonic(), sum(os.times()[:4])


def _write(path: Path, values: dict) -> None:
    with new_file(path) as staging:
        staging.write_text(json.dumps(values, indent=1), encoding="utf-8")
