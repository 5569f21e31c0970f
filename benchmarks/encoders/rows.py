"""The rows of the table: what an encoder learned from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.objectives import (
    dino,
    end_to_end,
    ijepa,
    lejepa,
    mae,
    vicreg,
    video_jepa,
    vjepa,
)
from benchmarks.objectives.learner import Learner, Play

RANDOM, FOIL, SHIPPED = "random", "mae", "shipped"


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        text: what it is, with its paper.
        learner: the objective; None where nothing is trained.
        of: another row, whose encoder this one has.
    """

    text: str
    learner: Callable[[Play], Learner] | None = None
    of: str | None = None


ROWS = {
    RANDOM: Row("random weights, frozen"),
    SHIPPED: Row("the shipped model, with its colour blobs, as it is"),
    FOIL: Row("pixels of hidden patches (He et al. 2022)", mae.learner),
    "ijepa": Row("latents of hidden blocks (Assran et al. 2023)", ijepa.learner),
    "vjepa": Row(
        "latents of hidden tokens of clips (Bardes et al. 2024)", vjepa.learner
    ),
    "dino": Row(
        "self-distillation of views and crops (Caron et al. 2021)", dino.learner
    ),
    "vicreg": Row("two views (Bardes, Ponce & LeCun 2022)", vicreg.learner),
    "vicreg-time": Row("neighbours in time (Sobal et al. 2022)", vicreg.in_time),
    "lejepa": Row("two views, SIGReg (Balestriero & LeCun 2025)", lejepa.learner),
    "action": Row("latents by actions, SIGReg (Maes et al. 2026)", video_jepa.action),
    "end-to-end": Row("that, with the goal distance", end_to_end.learner),
    "video-jepa": Row("the JEPA of `worldmodel pretrain`", video_jepa.learner),
    "video-jepa-general": Row("its encoder, general projector", of="video-jepa"),
}
