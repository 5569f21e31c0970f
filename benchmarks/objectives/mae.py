"""MAE: the pixels of hidden patches, told by the visible ones; the foil of the latents.

He et al. 2022, "Masked Autoencoders Are Scalable Vision Learners"; of clips of two
frames, as VideoMAE (Tong et al. 2022). Patches are hidden at random, and their pixels
normalised one patch at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.objectives.learner import SEEN, Learner, Play, spread
from worldmodel.encoders import VideoViT, VideoViTSpec
from worldmodel.encoders.patches import CHANNELS, patchify
from worldmodel.training.objectives.masking import Masks
from worldmodel.training.objectives.vjepa import LatentPredictor, LatentPredictorSpec
from worldmodel.training.updates import Job

HIDDEN = 0.75
GREY_LEVEL = 1.0  # added to a patch's standard deviation: flat ones are not blown up


class MAE(nn.Module):
    """An encoder of visible patches and a decoder of the hidden ones."""

    def __init__(self, spec: VideoViTSpec) -> None:
        super().__init__()
        self.encoder = VideoViT(spec)
        self.decoder = LatentPredictor(LatentPredictorSpec(), spec.dim)
        self.pixels = nn.Linear(spec.dim, spec.patch**2 * SEEN * CHANNELS)

    def loss(self, moments: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean square error of the hidden pixels of moments (B, 2, h, w, 3)."""
        spec = self.encoder.spec
        masks = random_masks(len(moments), spec.patches, generator)
        masks = Masks(masks.context.to(moments.device), masks.target.to(moments.device))
        seen = self.encoder.tokens(moments, masks.context)
        told = self.pixels(self.decoder(seen, masks, spec.grid(SEEN)))
        true = patchify(moments, spec.patch, spec.tubelet).flatten(2)
        wanted = normalised(true).gather(
            1, masks.target[..., None].expand(-1, -1, true.shape[-1])
        )
        error = (told.float() - wanted).square().mean()
        return {"total": error, "std": spread(seen.transpose(0, 1))}


def random_masks(batch: int, patches: int, generator: torch.Generator) -> Masks:
    """Masks of one tubelet that hide `HIDDEN` of the patches, any of them."""
    count = min(max(round(HIDDEN * patches), 1), patches - 1)
    order = torch.rand(batch, patches, generator=generator).argsort(dim=1)
    hidden, seen = order[:, :count], order[:, count:]
    return Masks(seen.sort(dim=1).values, hidden.sort(dim=1).values)


def normalised(patches: Tensor) -> Tensor:
    """Patches (..., values) in [0, 255], each with mean 0 and deviation 1 at most."""
    pixels = patches.float()
    centred = pixels - pixels.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True).sqrt() + GREY_LEVEL)


def learner(play: Play) -> Learner:
    """Moments with three quarters of their patches hidden."""
    model = MAE(play.encoder).to(play.device)
    draw = play.drawer(play.moments)

    def loss() -> dict[str, Tensor]:
        return model.loss(play.stilled(draw()), play.generator)

    return Learner(Job(model, loss), model.encoder, None, play.moments)
