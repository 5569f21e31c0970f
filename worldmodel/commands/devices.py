"""Where and in which precision a command computes."""

from __future__ import annotations

import torch

from worldmodel.errors import OptionError
from worldmodel.files.text import one_line
from worldmodel.hardware import bf16_pays
from worldmodel.training.distributed import launched, own_gpu

DEVICES = ("cpu", "cuda", "mps")  # kinds that compute


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" takes a GPU where there is one.

    Of several processes each takes a GPU of its own.

    Raises:
        OptionError: torch cannot use that device here.
    """
    if launched() > 1:
        if name not in ("auto", "cpu", "cuda"):
            raise OptionError(
                f"device must be auto, cpu or cuda for several processes, got {name!r}"
            )
        if name == "cuda" or (name == "auto" and torch.cuda.is_available()):
            return own_gpu()
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, colon, _ = name.partition(":")
    if kind not in DEVICES or (colon and kind != "cuda"):
        raise OptionError(
            f"device must be auto, {', '.join(DEVICES)}, or one of several as in "
            f"cuda:1, got {name!r}"
        )
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise OptionError(
            f"device={name} does not work here, try device=auto: {one_line(error)}"
        ) from error


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The precision called `name`; "auto" takes the faster one on the device.

    Raises:
        OptionError: planning knows no such precision.
    """
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if name == "auto":
        return torch.bfloat16 if bf16_pays(device) else torch.float32
    if name not in known:
        raise OptionError(f"precision must be one of {[*known, 'auto']}, got {name!r}")
    return known[name]
