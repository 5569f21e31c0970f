"""Models that are blind to a part of what their encoder tells them."""

from __future__ import annotations

import torch
from torch import Tensor

from worldmodel.commands.control import BANK_FILE
from worldmodel.evaluation.frame_bank import load_bank
from worldmodel.model import WorldModel
from worldmodel.projectors.projector import Projector
from worldmodel.resources import find_weights

PARTS = ("video tokens", "colour blobs")


@torch.no_grad()
def blind(model: WorldModel, part: str, frames: Tensor | None = None) -> None:
    """Replaces a part of every token by its mean over recorded frames, in place.

    The mean is folded into the weights of the projector and of the proprio estimator,
    so that nothing of the part reaches a latent, and nothing else changes.

    Args:
        model: a model.
        part: of `PARTS`: what the video transformer made of patches, or the numbers
            that colour blobs tell.
        frames: uint8 (N, height, width, 3) that give the mean; None for the bank of the
            shipped model.

    Raises:
        ValueError: another part.
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {PARTS}, got {part!r}")
    if frames is None:
        frames = torch.from_numpy(load_bank(find_weights("reference") / BANK_FILE))
    tokens = model.encoder.newest(frames[:, None])  # (N, P, token_dim)
    for projector in (model.projector, model.proprio_estimator):
        if projector is not None:
            _blind(projector, tokens, part)


def _blind(projector: Projector, tokens: Tensor, part: str) -> None:
    spec = projector.spec
    width = spec.patches * spec.reduced
    seen = projector.reduce(tokens[:, : spec.patches]).flatten(1)
    told = tokens[:, spec.patches :].flatten(1)[:, : spec.blob_dim]
    columns = slice(0, width) if part == PARTS[0] else slice(width, None)
    mean = torch.cat((seen, told), dim=1).mean(dim=0)[columns]
    for layer in (projector.expand, projector.skip):
        layer.bias.add_(layer.weight[:, columns] @ mean)
        layer.weight[:, columns] = 0.0
