"""Tokens of a whole dataset, encoded once because the encoder is frozen."""

from __future__ import annotations

import math
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
KEPT = ("float16", "int8")
_SCALE = 4  # bytes of a token's scale, a float32


@dataclass(frozen=True, eq=False)
class TokenCache:
    """Tokens of every frame of a `FrameCache`, in its order.

    Attributes:
        tokens: float16 (N, P, D), mapped from disk; or int8 (N, P, D + 4), `packed`.
        frames: the frames they are of.
    """

    tokens: np.ndarray
    frames: FrameCache

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, P, D)."""
        count, patches, width = self.tokens.shape
        return count, patches, width - _SCALE * (self.tokens.dtype == np.int8)

    def at(self, rows: torch.Tensor) -> torch.Tensor:
        """Tokens float16 (..., P, D) of frame rows (...)."""
        found = torch.from_numpy(self.tokens[rows.numpy()])
        return unpacked(found) if found.dtype == torch.int8 else found


def packed(tokens: torch.Tensor) -> torch.Tensor:
    """Gives tokens (..., D) as int8 (..., D + 4): whole numbers, then their scale.

    A scale, float32, for each token: its largest magnitude is 127. What is rounded is
    at most half a scale off.
    """
    scale = tokens.float().abs().amax(-1, keepdim=True) / 127
    whole = (tokens.float() / scale.clamp_min(torch.finfo(torch.float32).tiny)).round()
    return torch.cat((whole.to(torch.int8), scale.view(torch.int8)), dim=-1)


def unpacked(stored: torch.Tensor) -> torch.Tensor:
    """Gives the tokens, float16 (..., D), that `packed` made."""
    scale = stored[..., -_SCALE:].contiguous().view(torch.float32)
    return (stored[..., :-_SCALE] * scale).half()


def rounding(tokens: torch.Tensor) -> float:
    """How far tokens (..., D) are off as int8: root mean square, over their own."""
    true = tokens.float()
    off = unpacked(packed(true)).float() - true
    return float(off.square().mean().sqrt() / true.square().mean().sqrt())


@torch.no_grad()
def encode_dataset(
    encoder: FrozenEncoder,
    frames: FrameCache,
    path: Path,
    still: float,
    device: torch.device,
    progress: Progress | None = None,
    kept: str = "float16",
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
        kept: one of `KEPT`, as what they are kept.
    """
    file = path / tokens_name(encoder, frames, still, kept)
    with FileLock(path / "lock", wait=True):  # runs may share the folder
        if not file.is_file():
            with new_file(file) as staging:
                _write(encoder.to(device), frames, staging, still, progress, kept)
    return TokenCache(np.load(file, mmap_mode="r"), frames)


def tokens_name(
    encoder: FrozenEncoder, frames: FrameCache, still: float, kept: str = "float16"
) -> str:
    """Name of the file with a dataset's tokens."""
    code, data = encoder.weights_hash[:12], frames.fingerprint[:12]
    return f"tokens-{code}-{data}-{still}{'-int8' * (kept == 'int8')}.npy"


def tokens_size(
    encoder: FrozenEncoder, frames: FrameCache, kept: str = "float16"
) -> int:
    """Bytes that a dataset's tokens take on disk."""
    shape, dtype = _stored(encoder, frames, kept)
    return math.prod(shape) * np.dtype(dtype).itemsize


def _stored(
    encoder: FrozenEncoder, frames: FrameCache, kept: str
) -> tuple[tuple[int, int, int], type[np.number]]:
    """Shape and type of a dataset's tokens on disk."""
    spec, is_small = encoder.spec, kept == "int8"
    shape = len(frames.frames), spec.latents, spec.dim + _SCALE * is_small
    return shape, np.int8 if is_small else np.float16


@torch.no_grad()
def encoding_rate(
    encoder: FrozenEncoder, frames: FrameCache, most: int = 16
) -> tuple[float, torch.Tensor]:
    """Frames that the encoder, on its device, encodes in a second; and their tokens.

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
            tokens = encoder.newest(some)
        synchronize(device)
        seconds.append(time.perf_counter() - begin)
    return count / seconds[-1], tokens


def _write(
    encoder: FrozenEncoder,
    frames: FrameCache,
    file: Path,
    still: float,
    progress: Progress | None,
    kept: str,
) -> None:
    shape, dtype = _stored(encoder, frames, kept)
    out = new_mapped(file, dtype, shape)
    device = next(encoder.parameters()).device
    generator = torch.Generator().manual_seed(0)
    count = len(frames.episodes)
    for episode in range(count):
        rows = slice(int(frames.offsets[episode]), int(frames.offsets[episode + 1]))
        pixels = torch.from_numpy(np.array(frames.frames[rows]))[None].to(device)
        stands = stand_still(pixels.shape[1], still, generator)
        with autocast(device):
            tokens = encoder.newest(single_clips(pixels, stands))
        small = packed(tokens) if kept == "int8" else tokens.half()
        out[rows] = small.cpu().numpy()
        if progress is not None:
            progress(episode + 1, count)
    out.flush()
