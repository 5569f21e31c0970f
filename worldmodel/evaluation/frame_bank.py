"""A small bank of real frames: shows what a latent looks like."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from worldmodel.errors import WorldModelError
from worldmodel.files.atomic import new_file

Encode = Callable[[Tensor], Tensor]
"""Latents (B, T, P, D) of frames uint8 (B, T, height, width, 3)."""


@dataclass(frozen=True, eq=False)
class FrameBank:
    """Real frames and their latents.

    Attributes:
        frames: uint8 (M, height, width, 3).
        latents: (M, P, D) as the world model encodes them, each as a still clip.
    """

    frames: np.ndarray
    latents: Tensor

    def nearest(self, latents: Tensor) -> np.ndarray:
        """Gives the real frames (K, height, width, 3) nearest to latents (K, P, D)."""
        if latents.shape[1:] != self.latents.shape[1:]:
            raise WorldModelError(
                f"latents must be (K, {', '.join(map(str, self.latents.shape[1:]))}) "
                f"like the bank's, got {tuple(latents.shape)}"
            )
        wanted = latents.flatten(1).to(self.latents)
        gaps = torch.cdist(wanted[None], self.latents.flatten(1)[None])[0]  # (K, M)
        return self.frames[gaps.argmin(dim=1).cpu().numpy()]


@torch.no_grad()
def encode_bank(frames: np.ndarray, encode: Encode, chunk: int = 64) -> FrameBank:
    """Encodes a bank's frames as still clips, `chunk` at a time."""
    check_bank(frames, "bank")
    parts = [
        encode(torch.from_numpy(frames[start : start + chunk])[:, None])[:, 0]
        for start in range(0, len(frames), chunk)
    ]
    return FrameBank(frames, torch.cat(parts))


def save_bank(frames: np.ndarray, path: Path) -> None:
    """Writes the frames uint8 (M, height, width, 3) of a bank."""
    check_bank(frames, "bank")
    with new_file(path) as staging, staging.open("wb") as file:
        np.savez_compressed(file, frames=frames)


def load_bank(path: Path) -> np.ndarray:
    """Reads the frames of a bank.

    Raises:
        WorldModelError: The file is missing or is no bank.
    """
    if not path.is_file():
        raise WorldModelError(f"no frame bank at {path}")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            frames = stored["frames"]
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError) as error:
        raise WorldModelError(f"{path} is no frame bank ({error})") from error
    check_bank(frames, str(path))
    return frames


def check_bank(frames: np.ndarray, name: str) -> None:
    """Raises unless frames are uint8 (M, height, width, 3) with M >= 1."""
    is_rgb = frames.ndim == 4 and frames.shape[-1] == 3
    if frames.dtype != np.uint8 or not is_rgb or len(frames) == 0:
        raise WorldModelError(
            f"{name} must be uint8 (M, height, width, 3), got {frames.dtype} "
            f"{frames.shape}"
        )
