"""Tokens of a whole dataset, encoded once because the encoder is frozen."""

from __future__ import annotations

import time
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
from worldmodel.hardware import synchronize
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
    file = path / tokens_name(encoder, frames, still)
    with FileLock(path / "lock", wait=True):  # runs may share the folder
        if not file.is_file():
            with new_file(file) as staging:
                _write(encoder.to(device), frames, staging, still, progress)
    return TokenCache(np.load(file, mmap_mode="r"), frames)


def tokens_name(encoder: FrozenEncoder, frames: FrameCache, still: float) -> str:
    """Name of the file with a dataset's tokens."""
    code, data = encoder.weights_hash[:12], frames.fingerprint[:12]
    return f"tokens-{code}-{data}-{still}.npy"


def tokens_size(encoder: FrozenEncoder, frames: FrameCache) -> int:
    """Bytes that a dataset's tokens take on disk."""
    spec, number = encoder.spec, np.dtype(np.float16).itemsize
    return len(frames.frames) * spec.latents * spec.dim * number


@torch.no_grad()
def encoding_rate(encoder: FrozenEncoder, frames: FrameCache, most: int = 16) -> float:
    """Frames that the encoder, on its device, encodes in a second.

    Args:
        encoder: the frozen encoder.
        frames: the decoded dataset, of whose first frames it is measured.
        most: how many of them.
    """
    device = next(encoder.parameters()).device
    count = min(most, len(frames.frames))
    pixels = torch.from_numpy(np.array(frames.frames[:count]))[:, None].to(device)
    seconds = []
    for some in (pixels[:1], pixels):  # what happens once happens to the first
        synchronize(device)
        begin = time.perf_counter()
        with autocast(device):
            encoder.newest(some)
        synchronize(device)
        seconds.append(time.perf_counter() - begin)
    return count / seconds[-1]


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
