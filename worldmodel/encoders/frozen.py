"""An encoder that no longer learns."""

from __future__ import annotations

from copy import deepcopy
from typing import Self

import torch
from torch import Tensor, nn

from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.encoders.blobs import ColorBlobs
from worldmodel.encoders.patches import check_frames
from worldmodel.encoders.published.encoder import PublishedEncoder
from worldmodel.encoders.published.spec import PublishedSpec
from worldmodel.encoders.video_vit import VideoViT, VideoViTSpec

EncoderSpec = VideoViTSpec | PublishedSpec


def unfilled(spec: EncoderSpec) -> VideoViT | PublishedEncoder:
    """An encoder of a spec: ours with weights of chance, one of others without any."""
    if isinstance(spec, PublishedSpec):
        return PublishedEncoder(spec)
    return VideoViT(spec)


class FrozenEncoder(nn.Module):
    """Holds an encoder, ours or a published one, in eval mode, without gradients.

    Takes over the module that it is given. `weights_hash` names these weights in
    everything that is trained on them.
    """

    def __init__(self, encoder: VideoViT | PublishedEncoder) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(False).eval()

    @property
    def weights_hash(self) -> str:
        """SHA-256 of the encoder's weights as they are now.

        Of a published one: of the weights in its files and of how pictures are
        prepared, whatever the format of the files and the precision.
        """
        if isinstance(self.encoder, PublishedEncoder):
            return self.encoder.identity
        return weights_hash(self.encoder)

    @property
    def spec(self) -> EncoderSpec:
        """Architecture of the encoder."""
        return self.encoder.spec

    @property
    def published_at(self) -> str | None:
        """Path or name of a published encoder's weights; None for ours."""
        at = self.encoder
        return at.place if isinstance(at, PublishedEncoder) else None

    def sized(self, height: int, width: int) -> FrozenEncoder:
        """The same encoder for frames of another size [px].

        Raises:
            ValueError: it takes one size only, as ours do.
        """
        if isinstance(self.encoder, PublishedEncoder):
            return FrozenEncoder(self.encoder.sized(height, width))
        if (height, width) == (self.spec.height, self.spec.width):
            return self
        raise ValueError(
            f"this encoder takes frames of {self.spec.height} x {self.spec.width} "
            f"(height x width), got {height} x {width}"
        )

    def color_blobs(self) -> tuple[ColorBlobs, Tensor]:
        """Its colour blobs, and the background picture that they differ from."""
        if isinstance(self.encoder, PublishedEncoder) or self.encoder.blobs is None:
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
