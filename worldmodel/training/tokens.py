"""Tokens of a whole dataset, encoded once because the encoder is frozen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from worldmodel.data import FrameCache
from worldmodel.data.mapped import new_mapped
from worldmodel.encoders import FrozenEncoder
from worldmodel.files.atomic import new_file
from worldmodel.files.lock import FileLock
from worldmodel.training.objectives.clips import single_clips, stand_still
from worldmodel.training.updates import autocast

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class TokenCache:
    """Tokens of every frame of a `FrameCache`, in its order.

    Attributes:
        tokens: float16 (N, P, D), mapped from disk.
        frames: the frames they are of.
    """

    tokens: np.ndarray
    frames: FrameCache

    def at(self, rows: torch.Tensor) -> torch.Tensor:
        """Tokens float16 (..., P, D) of frame rows (...)."""
        return torch.from_numpy(self.tokens[rows.numpy()])


@torch.no_grad()
def encode_dataset(
    encoder: FrozenEncoder,
    frames: FrameCache,
    path: Path,
    still: float,
    device: torch.device,
    progress: Progress | None = None,
) -> TokenCache:
    """Encodes every frame, or opens what an earlier call encoded.

    The file's name carries encoder and dataset, so another of either is encoded anew.
    Processes that ask at the same time wait for the one that encodes.

    Args:
        encoder: the frozen encoder.
        frames: the decoded dataset.
        path: folder for the file.
        still: fraction of clips that stand still, as in `stand_still`.
        device: where to compute.
        progress: called with (episodes done, episodes in all).
    """
    name = f"tokens-{encoder.weights_hash[:12]}-{frames.fingerprint[:12]}-{still}.npy"
    file = path / name
    with FileLock(path / "lock", wait=True):  # runs may share the folder
        if not file.is_file():
            with new_file(file) as staging:
                _write(encoder.to(device), frames, staging, still, progress)
    return TokenCache(np.load(file, mmap_mode="r"), frames)


def _write(
    encoder: FrozenEncoder,
    frames: FrameCache,
    file: Path,
    still: float,
    progress: Progress | None,
) -> None:
    spec = encoder.spec
    shape = (len(frames.frames), spec.latents, spec.dim)
    out = new_mapped(file, np.float16, shape)
    device = next(encoder.parameters()).device
    generator = torch.Generator().manual_seed(0)
    count = len(frames.episodes)
    for episode in range(count):
        rows = slice(int(frames.offsets[episode]), int(frames.offsets[episode + 1]))
        pixels = torch.from_numpy(np.array(frames.frames[rows]))[None].to(device)
        stands = stand_still(pixels.shape[1], still, generator)
        with autocast(device):
            tokens = encoder.newest(single_clips(pixels, stands))
        out[rows] = tokens.half().cpu().numpy()
        if progress is not None:
            progress(episode + 1, count)
    out.flush()
