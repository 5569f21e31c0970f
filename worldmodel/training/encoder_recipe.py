"""What every recipe of stage 1 can do."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch

from worldmodel.data import FrameCache
from worldmodel.encoders import VideoViT, VideoViTSpec
from worldmodel.projectors.projector import Projector
from worldmodel.training.loop import OnStep, Schedule


class EncoderSpec(Protocol):
    """What a recipe trains."""

    @property
    def encoder(self) -> VideoViTSpec:
        """Architecture of the encoder."""
        ...


class EncoderRecipe(Protocol):
    """How an encoder is trained, e.g. `training.jepa.JEPARecipe`."""

    @property
    def schedule(self) -> Schedule:
        """Steps and learning rate."""
        ...

    @property
    def model(self) -> EncoderSpec:
        """What is trained."""
        ...

    def require_shares(self, processes: int) -> None:
        """Raises ValueError unless so many processes can share a batch evenly."""
        ...

    def train(
        self,
        frames: FrameCache,
        device: torch.device,
        state: Path | None = None,
        on_step: OnStep | None = None,
    ) -> tuple[VideoViT, Projector | None]:
        """The encoder and, where it trains one to plan in, its projector.

        Args:
            frames: The decoded dataset; only its training split is used.
            device: Where to compute; what is made is on the CPU.
            state: File of the unfinished training, gone on from where it exists.
            on_step: Called with the steps done and the smoothed loss terms.
        """
        ...
