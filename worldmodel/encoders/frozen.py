"""An encoder that no longer learns."""

from __future__ import annotations

from copy import deepcopy
from typing import Self

import torch
from torch import Tensor, nn

from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.encoders.blobs import ColorBlobs
from worldmodel.encoders.patches import check_frames
from worldmodel.encoders.video_vit import VideoViT, VideoViTSpec


class FrozenEncoder(nn.Module):
    """Holds a `VideoViT` in eval mode, without gradients.

    Takes over the module that it is given. `weights_hash` names these weights in
    everything that is trained on them.
    """

    def __init__(self, encoder: VideoViT) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(False).eval()

    @property
    def weights_hash(self) -> str:
        """SHA-256 of the encoder's weights as they are now."""
        return weights_hash(self.encoder)

    @property
    def spec(self) -> VideoViTSpec:
        """Architecture of the encoder."""
        return self.encoder.spec

    def color_blobs(self) -> tuple[ColorBlobs, Tensor]:
        """Its colour blobs, and the background picture that they differ from."""
        if self.encoder.blobs is None:
            raise ValueError("this encoder has no colour blobs")
        return deepcopy(self.encoder.blobs).cpu(), self.encoder.background.cpu()

    def train(self, mode: bool = True) -> Self:
        """Stays in eval mode whatever is asked."""
        del mode
        return super().train(False)

    @torch.no_grad()
    def encode(self, frames: Tensor, chunk: int = 64) -> Tensor:
        """Latents (B, T, P, D) of frames (B, T, height, width, 3), see `VideoViT`."""
        return self.encoder.encode(frames, chunk)

    @torch.no_grad()
    def newest(self, clips: Tensor) -> Tensor:
        """Tokens (B, P, D) of the last frame of clips (B, T, height, width, 3).

        Only the last `spec.tubelet` frames count; where there are fewer, the first
        repeats.
        """
        check_frames(clips, self.spec.height, self.spec.width)
        some = clips[:, -self.spec.tubelet :]
        missing = self.spec.tubelet - some.shape[1]
        first = some[:, :1].expand(-1, missing, -1, -1, -1)
        return self.encoder.newest(torch.cat((first, some), dim=1))

    def forward(self, frames: Tensor) -> Tensor:
        """Same as `encode`."""
        return self.encode(frames)
