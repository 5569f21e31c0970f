"""Stage 1 of a scene with coloured things: an encoder with colour blobs beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from worldmodel.checkpoints.outline import require_trainable
from worldmodel.data import FrameCache, Windows
from worldmodel.encoders import VideoViT
from worldmodel.training import distributed
from worldmodel.training.blobs import (
    background_image,
    blob_sums,
    blob_targets,
    find_blobs,
    some_rows,
)
from worldmodel.training.loop import MOST_WINDOWS, OnStep, Schedule, Training, fit
from worldmodel.training.object_slots import find_slots, together
from worldmodel.training.objectives.action_conditioned import Experience
from worldmodel.training.objectives.joint import JointPretraining, JointSpec
from worldmodel.training.objectives.vjepa import ema_update
from worldmodel.training.proprio import standardised_proprio
from worldmodel.training.updates import Job


@dataclass(frozen=True)
class TabletopEncoderRecipe:
    """How the tabletop's encoder is trained.

    Attributes:
        model: what is trained.
        schedule: steps and learning rate.
        pairs: pairs of windows per step, both of one episode.
        window: frames T of a window.
        clips: clips per step for masked prediction.
        clip_frames: frames of such a clip, drawn anew each step from these.
        momentum: of the moving average that gives the targets.
        seed: decides weights and batches.
    """

    model: JointSpec
    schedule: Schedule
    pairs: int = 10
    window: int = 3
    clips: int = 2
    clip_frames: tuple[int, ...] = (2, 4, 8)
    momentum: float = 0.996
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("pairs", "clips"):
            if not 1 <= getattr(self, name) <= MOST_WINDOWS:
                raise ValueError(
                    f"{name} must be in [1, {MOST_WINDOWS}], got {getattr(self, name)}"
                )
        if self.window < 2:
            raise ValueError(f"window must be at least 2 frames, got {self.window}")
        if not 0.0 <= self.momentum <= 1.0:
            raise ValueError(f"momentum must be in [0, 1], got {self.momentum}")

    def require_shares(self, processes: int) -> None:
        """Raises ValueError unless so many processes can share a batch evenly."""
        for name, clips in (("pairs", 2 * self.pairs), ("clips", self.clips)):
            given = f"recipe.{name}={getattr(self, name)}"
            distributed.require_even(given, clips, processes)

    def train(
        self,
        frames: FrameCache,
        device: torch.device,
        state: Path | None = None,
        on_step: OnStep | None = None,
    ) -> tuple[VideoViT, None]:
        """See `EncoderRecipe`; its projector is not one to plan in."""
        made = train_tabletop_encoder(self, frames, device, state, on_step)
        return made.encoder.cpu(), None


def train_tabletop_encoder(
    recipe: TabletopEncoderRecipe,
    cache: FrameCache,
    device: torch.device,
    state_path: Path | None = None,
    on_step: OnStep | None = None,
) -> JointPretraining:
    """Pretrains an encoder and a projector; resumes from `state_path` where it exists.

    Several processes that are `together` train one encoder, to rounding that of one
    process; the state is of any number of processes.

    Args:
        recipe: Model and schedule.
        cache: The decoded dataset; only its training split is used.
        device: Where to compute.
        state_path: Where the state of the training is kept.
        on_step: Called with the steps done and the smoothed loss terms.

    Returns:
        Encoder and projector, trained, among what they were trained with.
    """
    recipe.require_shares(distributed.size())
    size = cache.actions.shape[1]
    require_trainable(lambda: JointPretraining(recipe.model, size))
    torch.manual_seed(recipe.seed)
    model = JointPretraining(recipe.model, size).to(device)
    generator = torch.Generator().manual_seed(recipe.seed)
    windows = Windows(cache, "train", recipe.window)
    background = background_image(cache, generator)
    model.set_background(background)
    blobs = _find_blobs(recipe.model, cache, model.encoder, generator)
    proprio = standardised_proprio(cache, recipe.model.proprio)
    clips = [Windows(cache, "train", frames) for frames in recipe.clip_frames]

    def loss() -> dict[str, Tensor]:
        numbers = windows.draw_pairs(recipe.pairs, generator)
        rows, actions, episodes = windows.rows_at(numbers)
        frames = cache.frames_at(distributed.share(rows))
        batch = Experience(
            actions.to(device),
            proprio[rows].to(device),
            blobs[rows].to(device),
            blobs[rows][:, :, :0].to(device),  # positions come with the next stage
            episodes.to(device),
        )
        some = _share_of_clips(clips, recipe.clips, generator).to(device)
        return model.loss(frames.to(device), batch, some, generator)

    def follow() -> None:
        ema_update(model.masked.target, model.masked.online, recipe.momentum)

    job = Job(model, loss, follow)
    fit({"pretrain": job}, Training(recipe.schedule, generator, state_path, on_step))
    return model


def _share_of_clips(
    sources: Sequence[Windows], count: int, generator: torch.Generator
) -> Tensor:
    """This process's share of so many clips, of a length drawn for all of them."""
    drawn = int(torch.randint(len(sources), (), generator=generator))
    numbers = sources[drawn].draw(count, generator)
    return sources[drawn].at(distributed.share(numbers)).frames


def _find_blobs(
    spec: JointSpec, cache: FrameCache, encoder: VideoViT, generator: torch.Generator
) -> Tensor:
    """Gives the encoder its colour blobs, and where they are, see `blob_targets`."""
    if encoder.blobs is None:
        return torch.zeros(len(cache.frames), 0, 4)
    background, slots = encoder.background.cpu(), spec.encoder.num_slots
    blobs = find_blobs(cache, spec.encoder.num_colors, background, generator)
    sums = blob_sums(cache, blobs, background)
    if slots:
        blobs = find_slots(cache, blobs, sums, slots)
        sums = together(blobs, sums)
    some = cache.frames_at(some_rows(cache, generator))
    blobs.standardise(some, background)
    encoder.blobs.load_state_dict(blobs.state_dict())
    return blob_targets(cache, sums, slots)
