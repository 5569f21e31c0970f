"""The frozen encoder that `train` is given, and what it costs to use it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from worldmodel.checkpoints import encoders
from worldmodel.commands.instantiate import instantiate
from worldmodel.data import FrameCache
from worldmodel.encoders import FrozenEncoder, Reading, load_encoder
from worldmodel.encoders.published.loading import is_published
from worldmodel.errors import OptionError
from worldmodel.memory import moved, require_memory
from worldmodel.training.tokens import (
    KEPT,
    encoding_rate,
    rounding,
    tokens_name,
    tokens_size,
)

_COPIES = 6  # of an episode's frames, as they become clips


def open_encoder(config: DictConfig) -> tuple[FrozenEncoder, dict[str, Any]]:
    """The encoder that `encoder=` names, ours or a published one, and its history.

    Raises:
        WorldModelError: it is missing, damaged, or `published` does not fit it.
    """
    reading = instantiate(config.published)
    if is_published(config.encoder):
        encoder = load_encoder(config.encoder, reading)
        return encoder, {"published": encoder.published_at}
    if reading != Reading():
        raise OptionError(
            f"published is for encoders that others published, encoder="
            f"{config.encoder} is one of ours: leave it out"
        )
    return encoders.load_encoder(config.encoder)


def say_tokens(
    encoder: FrozenEncoder,
    datasets: Sequence[FrameCache],
    folder: Path,
    still: float,
    kept: str,
) -> None:
    """Says how large the tokens of datasets are and how long they take.

    Says nothing of what has been encoded before.

    Raises:
        OptionError: they do not fit on the disk.
    """
    names = [tokens_name(encoder, frames, still, kept) for frames in datasets]
    pairs = zip(datasets, names, strict=True)
    new = [frames for frames, name in pairs if not (folder / name).exists()]
    if not new:
        return
    size = sum(tokens_size(encoder, frames, kept) for frames in new)
    _require_room(encoder, new)
    count = sum(len(d.frames) for d in new)
    rate, some = encoding_rate(encoder, new[0])
    spec = encoder.spec
    print(
        f"tokens of {count} frames, {spec.latents} x {spec.dim} {kept} each: "
        f"{size / 2**30:.2f} GiB in {folder}, about {duration(count / rate)} at "
        f"{rate:.3g} frames/s; they are computed once"
    )
    if kept == "int8":
        off = 100 * rounding(some)
        print(f"as int8 they are off by {off:.2g}% (root mean square, first frames)")
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if size > free:
        raise OptionError(
            f"the tokens take {size / 2**30:.2f} GiB, {there} has {free / 2**30:.2f} "
            "free: give tokens=FOLDER on a larger disk, tokens_as=int8, or a smaller "
            "published.crop"
        )


def kept_as(config: DictConfig) -> str:
    """As what tokens are kept.

    Raises:
        OptionError: `tokens_as` is none of these.
    """
    kept = KEPT[0] if config.tokens_as is None else config.tokens_as
    if kept not in KEPT:
        raise OptionError(f"tokens_as must be {' or '.join(KEPT)}, got {kept!r}")
    return kept


def on_device(encoder: FrozenEncoder, device: torch.device) -> FrozenEncoder:
    """Moves the encoder to where it computes.

    Raises:
        NotEnoughMemoryError: it does not fit there.
    """
    mend = "published.precision=bfloat16 takes half of float32; or give device=cpu"
    moved(encoder, device, "the encoder", mend)
    return encoder


def _require_room(encoder: FrozenEncoder, datasets: Sequence[FrameCache]) -> None:
    """Raises NotEnoughMemoryError where the longest episode's pixels do not fit."""
    device = next(encoder.parameters()).device
    longest = max(int(frames.lengths.max()) for frames in datasets)
    pixels = longest * encoder.spec.height * encoder.spec.width * 3
    require_memory(
        f"encoding an episode of {longest} frames of {encoder.spec.height} x "
        f"{encoder.spec.width}",
        _COPIES * pixels,
        device,
        "record shorter episodes or smaller pictures, or take a device with more",
    )


def duration(seconds: float) -> str:
    """Gives a time [s] as one says it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
