"""Stage 1 of a scene with coloured things: an encoder with colour blobs beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from worldmodel.data import FrameCache
from worldmodel.encoders import VideoViT
from worldmodel.training.blobs import (
    background_image,
    blob_sums,
    find_blobs,
    some_rows,
)
from worldmodel.training.jepa import JEPARecipe
from worldmodel.training.loop import OnStep
from worldmodel.training.object_slots import find_slots
from worldmodel.training.objectives.video_jepa import VideoJEPA


@dataclass(frozen=True)
class TabletopEncoderRecipe(JEPARecipe):
    """A `JEPARecipe` whose encoder knows the background and has colour blobs."""

    colour_blobs: ClassVar[bool] = True

    def prepare(
        self, model: VideoJEPA, cache: FrameCache, generator: torch.Generator
    ) -> None:
        """Finds background, colour blobs and which of them belong together in play."""
        background = background_image(cache, generator)
        for encoder in (model.masked.online, model.masked.target):
            encoder.set_background(background)
        _find_blobs(model.encoder, cache, generator)

    def train(
        self,
        frames: FrameCache,
        device: torch.device,
        state: Path | None = None,
        on_step: OnStep | None = None,
    ) -> tuple[VideoViT, None]:
        """See `EncoderRecipe`; its projector is not one to plan in."""
        encoder, _ = super().train(frames, device, state, on_step)
        return encoder, None


def _find_blobs(
    encoder: VideoViT, cache: FrameCache, generator: torch.Generator
) -> None:
    if encoder.blobs is None:
        return
    background = encoder.background.cpu()
    blobs = find_blobs(cache, encoder.spec.num_colors, background, generator)
    if encoder.spec.num_slots:
        sums = blob_sums(cache, blobs, background)
        blobs = find_slots(cache, blobs, sums, encoder.spec.num_slots)
    some = cache.frames_at(some_rows(cache, generator))
    blobs.standardise(some, background)
    encoder.blobs.load_state_dict(blobs.state_dict())
