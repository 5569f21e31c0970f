"""VICReg: pairs have one embedding, whose dimensions vary and do not repeat each other.

Bardes, Ponce & LeCun 2022, "VICReg: Variance-Invariance-Covariance Regularization for
Self-Supervised Learning". A pair is two views of a moment, or two moments that are near
in time (as in Sobal et al. 2022, "Joint Embedding Predictive Architectures Focus on
Slow Features").
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.objectives.learner import SEEN, Learner, Play, spread
from worldmodel.encoders import VideoViT, VideoViTSpec
from worldmodel.projectors.projector import Projector, ProjectorSpec
from worldmodel.training.updates import Job

DIM = 256
VARIANCE, INVARIANCE, COVARIANCE = 25.0, 25.0, 1.0  # weights of the paper
APART = 3  # steps between neighbours in time


class VICReg(nn.Module):
    """An encoder and a projector to the embedding; `variance` weighs its term."""

    def __init__(self, spec: VideoViTSpec, variance: float = VARIANCE) -> None:
        super().__init__()
        self.variance = variance
        self.encoder = VideoViT(spec)
        self.projector = Projector(ProjectorSpec.of(spec, DIM))

    def loss(self, pairs: Tensor) -> dict[str, Tensor]:
        """The terms of moments (2 B, 2, h, w, 3), first all first ones of a pair."""
        embedded = self.projector(self.encoder.tokens(pairs)).float()
        both = embedded.view(2, -1, DIM)  # (views, B, D)
        deviation = (both.var(1) + 1e-4).sqrt()
        variance = F.relu(1.0 - deviation).mean()
        invariance = F.mse_loss(both[0], both[1])
        covariance = 0.5 * sum(map(off_diagonal, both), torch.zeros(()).to(both))
        total = self.variance * variance + INVARIANCE * invariance
        return {
            "total": total + COVARIANCE * covariance,
            "variance": variance,
            "invariance": invariance,
            "covariance": covariance,
            "std": spread(both),
        }


def off_diagonal(embedded: Tensor) -> Tensor:
    """Sum of the squared covariances of different dimensions of (B, D), over D."""
    centred = embedded - embedded.mean(0)
    covariance = centred.T @ centred / (len(centred) - 1)
    squares = covariance.square()
    return (squares.sum() - squares.diagonal().sum()) / embedded.shape[1]


def learner(play: Play) -> Learner:
    """Two views of each moment."""
    draw = play.drawer(max(2, play.moments // 2))

    def pairs() -> Tensor:
        moments = play.stilled(draw())
        return play.pairs(moments)

    return _learner(play, pairs)


def in_time(play: Play) -> Learner:
    """Two moments of an episode, a few steps apart."""
    draw = play.drawer(max(2, play.moments // 2), SEEN + APART)

    def pairs() -> Tensor:
        frames = draw()
        return play.stilled(torch.cat((frames[:, :SEEN], frames[:, -SEEN:])))

    return _learner(play, pairs)


def _learner(play: Play, pairs: Callable[[], Tensor]) -> Learner:
    model = VICReg(play.encoder).to(play.device)
    count = 2 * max(2, play.moments // 2)
    return Learner(Job(model, lambda: model.loss(pairs())), model.encoder, None, count)
