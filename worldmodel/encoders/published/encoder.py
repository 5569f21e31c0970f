"""A published encoder as ours are: frames in, the tokens of each moment out."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from worldmodel.encoders.patches import check_frames
from worldmodel.encoders.published.preparation import prepare
from worldmodel.encoders.published.spec import PublishedSpec
from worldmodel.encoders.video_vit import clip_windows
from worldmodel.errors import WorldModelError

MOST_TOKENS = 8192  # that are encoded at once, a 64-frame clip's at 256 pixels


class PublishedEncoder(nn.Module):
    """Prepares frames and encodes them.

    Attributes:
        spec: what goes in and comes out.
        network: normalised clips (B, T, 3, side, side) to tokens; None where only the
            spec is known, as in a world model whose encoder is not attached yet.
        identity: hash of the weights and of all that decides tokens.
        place: where the weights were found: a path, or a name on the hub.
    """

    def __init__(
        self,
        spec: PublishedSpec,
        network: nn.Module | None = None,
        identity: str = "",
        place: str = "",
    ) -> None:
        super().__init__()
        self.spec, self.network = spec, network
        self.identity, self.place = identity, place

    def sized(self, height: int, width: int) -> PublishedEncoder:
        """The same weights, for frames of another size [px]."""
        spec = replace(self.spec, height=height, width=width)
        return PublishedEncoder(spec, self.network, self.identity, self.place)

    def tokens(self, frames: Tensor) -> Tensor:
        """Encodes clips, every token attending to every other.

        Args:
            frames: (B, T, height, width, 3) uint8, or floating point in [0, 255]; T a
                multiple of the tubelet.

        Returns:
            (B, T / tubelet * P, D) float32, ordered (time, height, width).
        """
        spec = self.spec
        check_frames(frames, spec.height, spec.width)
        if frames.shape[1] % spec.tubelet:
            raise ValueError(
                f"a clip must have a multiple of tubelet={spec.tubelet} frames, got "
                f"{frames.shape[1]}: repeat a frame, or leave some out"
            )
        network = self._loaded()
        most = max(1, MOST_TOKENS * spec.tubelet // spec.patches // frames.shape[1])
        weight = next(network.parameters())
        tokens = []
        for clips in frames.split(most):
            pictures = prepare(clips.flatten(0, 1), spec.preparation)
            pixels = pictures.unflatten(0, clips.shape[:2]).to(weight.dtype)
            tokens.append(network(pixels).float())
        return torch.cat(tokens)

    def newest(self, clips: Tensor) -> Tensor:
        """Tokens (B, P, D) of clips (B, tubelet, height, width, 3)."""
        return self.tokens(clips)

    def encode(self, frames: Tensor, chunk: int = 64) -> Tensor:
        """Encodes each frame with the frames just before it.

        Args:
            frames: (B, T, height, width, 3) uint8, or floating point in [0, 255].
            chunk: clips that are held at once.

        Returns:
            Latents (B, T, P, D), each of the clip of the last `tubelet` frames ending
            there; before the first frame, the first repeats.
        """
        if chunk < 1:
            raise ValueError(f"chunk must be at least 1, got {chunk}")
        check_frames(frames, self.spec.height, self.spec.width)
        batch, time = frames.shape[:2]
        flat = frames.flatten(0, 1)  # (B T, height, width, 3)
        window = clip_windows(batch, time, self.spec.tubelet, frames.device)
        latents = [self.newest(flat[rows]) for rows in window.split(chunk)]
        return torch.cat(latents).unflatten(0, (batch, time))

    def _loaded(self) -> nn.Module:
        if self.network is None:
            raise WorldModelError(
                f"the weights of this {self.spec.family} encoder are not attached: "
                "read the world model with WorldModel.from_pretrained"
            )
        return self.network
