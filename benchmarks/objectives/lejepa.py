"""LeJEPA: two views of a moment have one embedding, and embeddings are Gaussian.

Balestriero & LeCun 2025, "LeJEPA: Provable and Scalable Self-Supervised Learning
Without the Heuristics": no teacher, no stopped gradient; SIGReg alone keeps the
embeddings from collapsing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.objectives.learner import Learner, Play, spread
from worldmodel.encoders import VideoViT, VideoViTSpec
from worldmodel.projectors.projector import Projector, ProjectorSpec
from worldmodel.training.objectives.sigreg import SIGReg
from worldmodel.training.updates import Job

DIM = 64
GAUSSIAN = 0.05  # lambda of the paper


class LeJEPA(nn.Module):
    """An encoder and a projector to the embedding."""

    def __init__(self, spec: VideoViTSpec) -> None:
        super().__init__()
        self.encoder = VideoViT(spec)
        self.projector = Projector(ProjectorSpec.of(spec, DIM))
        self.sigreg = SIGReg()

    def loss(self, views: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """How far views (2 B, 2, h, w, 3), first all of one, are from their mean."""
        embedded = self.projector(self.encoder.tokens(views)).float()
        both = embedded.view(2, -1, DIM)  # (views, B, D)
        invariance = (both - both.mean(0)).square().mean()
        gaussian = self.sigreg(both, generator)
        return {
            "total": (1 - GAUSSIAN) * invariance + GAUSSIAN * gaussian,
            "invariance": invariance,
            "gaussian": gaussian,
            "std": spread(both),
        }


def learner(play: Play) -> Learner:
    """Half as many moments as a step may encode, two views of each."""
    model = LeJEPA(play.encoder).to(play.device)
    count = max(2, play.moments // 2)
    draw = play.drawer(count)

    def loss() -> dict[str, Tensor]:
        moments = play.stilled(draw())
        views = play.pairs(moments)
        return model.loss(views, play.generator)

    return Learner(Job(model, loss), model.encoder, None, 2 * count)
