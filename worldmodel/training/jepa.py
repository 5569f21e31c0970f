"""Stage 1 without anything about a scene: a video JEPA and its projector."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from worldmodel.checkpoints.outline import require_trainable
from worldmodel.data import FrameCache
from worldmodel.encoders import VideoViT
from worldmodel.errors import WorldModelError
from worldmodel.projectors.projector import Projector
from worldmodel.training import distributed
from worldmodel.training.augment import Augment
from worldmodel.training.chance import on_device, some_of
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.loop import MOST_WINDOWS, OnStep, Schedule, Training, fit
from worldmodel.training.objectives.video_jepa import (
    Chance,
    Moments,
    VideoJEPA,
    VideoJEPASpec,
)
from worldmodel.training.objectives.vjepa import ema_update
from worldmodel.training.proprio import standardised_proprio
from worldmodel.training.updates import Job


@dataclass(frozen=True)
class JEPARecipe:
    """How a video JEPA is trained.

    Attributes:
        model: what is trained.
        schedule: steps and learning rate.
        augment: how pictures are changed.
        windows: windows B of a step.
        window: model steps T of a window.
        clips: clips per step for masked prediction.
        clip_frames: frames of such a clip.
        later: mean steps from a moment to the later one that it must find.
        momentum: of the moving average that gives the targets of masked prediction.
        seed: decides weights and batches.
    """

    colour_blobs: ClassVar[bool] = False  # whether an encoder may have them

    model: VideoJEPASpec
    schedule: Schedule
    augment: Augment = field(default_factory=Augment)
    windows: int = 16
    window: int = 4
    clips: int = 2
    clip_frames: int = 8
    later: float = 12.0
    momentum: float = 0.998
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"windows": 2, "window": 2, "clips": 1, "clip_frames": 1}
        for name, bound in least.items():
            if not bound <= getattr(self, name) <= MOST_WINDOWS:
                raise ValueError(
                    f"{name} must be in [{bound}, {MOST_WINDOWS}], got "
                    f"{getattr(self, name)}"
                )
        if not 0.0 < self.later < math.inf:
            raise ValueError(f"later must be above 0 and finite, got {self.later}")
        if not 0.0 <= self.momentum <= 1.0:
            raise ValueError(f"momentum must be in [0, 1], got {self.momentum}")
        colours = self.model.encoder.num_colors
        if colours and not self.colour_blobs:
            raise ValueError(
                f"encoder.num_colors must be 0 here, got {colours}: colour blobs are "
                "the tabletop's (recipe=tabletop)"
            )

    def require_shares(self, processes: int) -> None:
        """Raises ValueError unless so many processes can share a batch evenly."""
        for name in ("windows", "clips"):
            given = getattr(self, name)
            distributed.require_even(f"recipe.{name}={given}", given, processes)

    def prepare(
        self, model: VideoJEPA, cache: FrameCache, generator: torch.Generator
    ) -> None:
        """Gives a model with fresh weights what it knows of a scene: here nothing.

        Args:
            model: changed in place.
            cache: the decoded dataset.
            generator: source of randomness, on the CPU.
        """

    def train(
        self,
        frames: FrameCache,
        device: torch.device,
        state: Path | None = None,
        on_step: OnStep | None = None,
    ) -> tuple[VideoViT, Projector]:
        """See `EncoderRecipe`."""
        made = train_jepa(self, frames, device, state, on_step).cpu()
        return made.encoder, made.projector


def train_jepa(
    recipe: JEPARecipe,
    cache: FrameCache,
    device: torch.device,
    state_path: Path | None = None,
    on_step: OnStep | None = None,
    frames: Tensor | None = None,
) -> VideoJEPA:
    """Trains encoder and projector; resumes from `state_path` where it exists.

    Several processes that are `together` train one model, to rounding that of one
    process; the state is of any number of processes.

    Args:
        recipe: Model and schedule.
        cache: The decoded dataset; only its training split is used.
        device: Where to compute.
        state_path: Where the state of the training is kept.
        on_step: Called with the steps done and the smoothed loss terms.
        frames: All pictures (N, height, width, 3) uint8 on the device; None to leave
            them on disk.

    Raises:
        WorldModelError: no episode is as long as a window and a clip.
    """
    recipe.require_shares(distributed.size())
    require_trainable(lambda: VideoJEPA(recipe.model, cache.actions.shape[1]))
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    model, job = jepa_job(recipe, cache, device, generator, frames)
    fit({"jepa": job}, Training(recipe.schedule, generator, state_path, on_step))
    return model


def jepa_job(
    recipe: JEPARecipe,
    cache: FrameCache,
    device: torch.device,
    generator: torch.Generator,
    frames: Tensor | None = None,
) -> tuple[VideoJEPA, Job]:
    """A model with fresh weights, and what it learns; see `train_jepa`."""
    model = VideoJEPA(recipe.model, cache.actions.shape[1]).to(device)
    recipe.prepare(model, cache, generator)
    batches = Batches(recipe, cache, device, frames)

    def draw() -> tuple[Moments, Chance]:
        batch = batches.draw(generator)
        return batch, model.draw(batch, generator)

    def loss(drawn: tuple[Moments, Chance]) -> dict[str, Tensor]:
        return model.loss(*drawn)

    def follow() -> None:
        ema_update(model.masked.target, model.masked.online, recipe.momentum)

    return model, Job(model, loss, follow, draw)


class Batches:
    """Draws batches of a training split, pictures changed as the recipe says."""

    def __init__(
        self,
        recipe: JEPARecipe,
        cache: FrameCache,
        device: torch.device,
        frames: Tensor | None = None,
    ) -> None:
        self.recipe, self.device = recipe, device
        self.cache, self.frames = cache, frames
        # Where rows are drawn: beside the pictures, so that a GPU waits for nothing.
        self.home = torch.device("cpu") if frames is None else frames.device
        self.actions = torch.from_numpy(cache.actions).to(self.home)
        proprio = standardised_proprio(cache, recipe.model.proprio)
        self.proprio = proprio.to(self.home)
        no_latents = torch.empty(len(self.actions), 0)
        self.episodes = LatentEpisodes.of(no_latents, cache).to(self.home)
        rows = self.episodes.rows
        left = self.episodes.last[rows] - rows
        self.begins = rows[left >= recipe.window - 1]
        self.clip_begins = rows[left >= recipe.clip_frames - 1]
        if not len(self.begins) or not len(self.clip_begins):
            raise WorldModelError(
                f"no episode for training is as long as window={recipe.window} or "
                f"clip_frames={recipe.clip_frames} model steps; choose smaller ones"
            )

    def draw(self, generator: torch.Generator) -> Moments:
        """A fresh batch on the device; of its pictures the share of this process."""
        recipe, first, home = self.recipe, self.episodes.first, self.home
        generator = on_device(generator, home)
        start = some_of(self.begins, recipe.windows, generator)
        window = start[:, None] + torch.arange(-1, recipe.window, device=home)
        gap = torch.empty(len(start), device=home).exponential_(
            1 / recipe.later, generator=generator
        )
        later = torch.minimum(start + 1 + gap.long(), self.episodes.last[start])
        if not recipe.model.weights.contrast:
            later = later[:0]
        after = later[:, None] + torch.arange(-1, 1, device=home)
        clips = some_of(self.clip_begins, recipe.clips, generator)
        clips = clips[:, None] + torch.arange(recipe.clip_frames, device=home)
        rows = window[:, 1:]
        return Moments(
            self._pictures(torch.maximum(window, first[start][:, None]), generator),
            self.actions[rows].to(self.device),
            self.proprio[rows].to(self.device),
            self._pictures(torch.maximum(after, first[later][:, None]), generator),
            first[start].to(self.device),
            self._pictures(clips, generator),
        )

    def _pictures(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        changes = self.recipe.augment.draw(len(rows), generator).share()
        rows, frames = distributed.share(rows), self.frames
        if frames is None:
            frames = self.cache.frames_at(rows.flatten())
            rows = torch.arange(len(frames)).view_as(rows)
        return changes.gather(frames, rows).to(self.device)
