"""Video-JEPA pretraining on play: masked prediction and action-conditioned JEPA."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from worldmodel.encoders.video_vit import VideoViT, VideoViTSpec
from worldmodel.projectors.projector import ProjectorSpec
from worldmodel.training.distributed import gathered, share
from worldmodel.training.objectives.action_conditioned import (
    Experience,
    LatentObjectives,
    ObjectiveWeights,
    Told,
)
from worldmodel.training.objectives.clips import single_clips, stand_still
from worldmodel.training.objectives.vjepa import video_masked_prediction


@dataclass(frozen=True)
class JointSpec:
    """Everything that a `JointPretraining` is built from.

    Attributes:
        encoder: the video ViT.
        weights: of the terms beside masked prediction.
        masked: weight of V-JEPA's masked latent prediction; 0 leaves it out.
        hidden: fraction of the patches that is hidden there.
        targets: hidden tokens predicted per clip.
        still: fraction of the single clips that stand still, as goal images do.
        proprio: leading dimensions of proprio that the latents shall tell.
        moves: leading dimensions of actions that inverse dynamics tells; None for all.
        latent_dim: width of the latent that the tokens are projected to.
    """

    encoder: VideoViTSpec = field(default_factory=VideoViTSpec)
    weights: ObjectiveWeights = field(default_factory=ObjectiveWeights)
    masked: float = 0.5
    hidden: float = 0.6
    targets: int = 16
    still: float = 0.3
    proprio: int = 0
    moves: int | None = None
    latent_dim: int = 64

    def __post_init__(self) -> None:
        if not self.masked >= 0:
            raise ValueError(f"masked must be at least 0, got {self.masked}")
        if not self.masked and not self.weights.any():
            raise ValueError("masked, or one of the weights, must be above 0")
        if self.proprio < 0:
            raise ValueError(f"proprio must be at least 0, got {self.proprio}")
        if self.latent_dim < 1:
            raise ValueError(f"latent_dim must be at least 1, got {self.latent_dim}")
        if not 0.0 <= self.still <= 1.0:
            raise ValueError(f"still must be in [0, 1], got {self.still}")


class JointPretraining(nn.Module):
    """An encoder and what it is trained with; only `encoder` is kept afterwards.

    Two ways of prediction share the encoder. V-JEPA's: tokens hidden in space and
    time, targets from a moving average (Assran et al. 2025). And an
    action-conditioned one, see `LatentObjectives`, which also keeps the first from
    collapsing.
    """

    def __init__(self, spec: JointSpec, action_size: int) -> None:
        super().__init__()
        self.spec = spec
        self.masked = video_masked_prediction(spec.encoder, spec.hidden, spec.targets)
        projector = ProjectorSpec.of(spec.encoder, spec.latent_dim)
        told = Told(action_size, spec.proprio, spec.encoder.num_blobs, moves=spec.moves)
        self.objectives = None
        if spec.weights.any():
            self.objectives = LatentObjectives(projector, spec.weights, told)

    @property
    def encoder(self) -> VideoViT:
        """The encoder in training."""
        return self.masked.online

    def set_background(self, picture: Tensor) -> None:
        """Sets what the encoder, and its moving average, see as nothing new."""
        self.masked.online.set_background(picture)
        self.masked.target.set_background(picture)

    def loss(
        self,
        frames: Tensor,
        batch: Experience,
        clips: Tensor,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """The terms of one batch by name; `total` is the one to differentiate.

        Of several processes each gives its `share` of frames and clips, and all of the
        rest; see `training.distributed`.

        Args:
            frames: (B, T, height, width, 3) uint8, consecutive frames.
            batch: what goes with them.
            clips: (C, F, height, width, 3) uint8 for masked prediction.
            generator: source of randomness, on the CPU.
        """
        terms: dict[str, Tensor] = {"total": torch.zeros((), device=frames.device)}
        if self.objectives is not None:
            count = batch.actions.shape[:2].numel()  # B T, of all processes
            stands = stand_still(count, self.spec.still, generator)
            singles = single_clips(frames, share(stands))
            tokens = self.encoder.newest(singles).unflatten(0, frames.shape[:2])
            latents = gathered(self.objectives.projector(tokens).float())
            terms = self.objectives.latent_loss(latents, batch, generator)
        if self.spec.masked:
            masked = self.masked.loss(clips, self.masked.draw_masks(clips, generator))
            terms["total"] = terms["total"] + self.spec.masked * masked.prediction
            terms["masked"] = masked.prediction.detach()
            terms["target_std"] = masked.target_std
        return terms
