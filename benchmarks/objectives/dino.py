"""DINO: a part of a picture tells what a moving average makes of the whole one.

Caron et al. 2021, "Emerging Properties in Self-Supervised Vision Transformers". Teacher
outputs are centred and sharpened. A scene at 96 pixels, whose things are a few patches
large, bears no random resized crops: whole views are moved and change their colours,
and a local crop is a block of a third of the patches at their own place (all others are
blanked before the stem), which the student alone sees.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.objectives.learner import Learner, Play, spread
from worldmodel.encoders import VideoViT, VideoViTSpec
from worldmodel.projectors.projector import Projector, ProjectorSpec
from worldmodel.training.objectives.masking import TubeMasks
from worldmodel.training.objectives.vjepa import ema_update
from worldmodel.training.updates import Job

DIM, PROTOTYPES = 64, 512
STUDENT, TEACHER = 0.1, 0.04  # temperatures of the paper
KEEP_CENTRE, MOMENTUM = 0.9, 0.99
LOCAL = TubeMasks(hidden=0.34, blocks=1, aspect=(0.75, 1.5))  # what is "hidden" is seen


class Network(nn.Module):
    """Encoder, projector, and cosines with prototypes."""

    def __init__(self, spec: VideoViTSpec) -> None:
        super().__init__()
        self.encoder = VideoViT(spec)
        self.projector = Projector(ProjectorSpec.of(spec, DIM))
        self.prototypes = nn.Linear(DIM, PROTOTYPES, bias=False)

    def forward(self, moments: Tensor, keep: Tensor | None = None) -> Tensor:
        """Moments (B, 2, h, w, 3) -> cosines (B, K); of tokens `keep` if given."""
        tokens = self.encoder.tokens(moments, keep)
        if keep is not None:
            spec = self.encoder.spec
            empty = tokens.new_zeros(len(tokens), spec.patches, spec.dim)
            tokens = empty.scatter(1, keep[..., None].expand_as(tokens), tokens)
        features = F.normalize(self.projector(tokens).float(), dim=-1)
        with torch.autocast(features.device.type, enabled=False):  # sharpened 25-fold
            return features @ F.normalize(self.prototypes.weight, dim=-1).T


class DINO(nn.Module):
    """A student, its moving average as teacher, and the centre of the teacher's say."""

    centre: Tensor

    def __init__(self, spec: VideoViTSpec) -> None:
        super().__init__()
        self.student = Network(spec)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.register_buffer("centre", torch.zeros(PROTOTYPES))

    def loss(
        self, views: Tensor, local: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Cross entropy of what student and teacher say of different views.

        Args:
            views: (2 B, 2, h, w, 3), first all of one kind.
            local: (B, 2, h, w, 3), of which the student sees a block.
            generator: source of randomness, on the CPU.
        """
        with torch.no_grad():
            said = self.teacher(views)  # (2 B, K)
            if not self.centre.any():
                self.centre.copy_(said.mean(0))
            wanted = ((said - self.centre) / TEACHER).softmax(-1)
            self.centre.lerp_(said.mean(0), 1 - KEEP_CENTRE)
        grid = self.student.encoder.spec.grid(local.shape[1])
        keep = LOCAL.sample(len(local), grid, generator).target.to(local.device)
        one, other = wanted.chunk(2)
        whole = self.student(views)
        part = (self.student(local, keep) / STUDENT).log_softmax(-1)
        across = -(torch.cat((other, one)) * (whole / STUDENT).log_softmax(-1)).sum(-1)
        within = -(0.5 * (one + other) * part).sum(-1)
        return {
            "total": 0.5 * (across.mean() + within.mean()),
            "teacher_entropy": torch.special.entr(wanted).sum(-1).mean(),
            "std": spread(whole),
        }


def learner(play: Play) -> Learner:
    """Two whole views of a third of the moments that a step may encode, and a block."""
    model = DINO(play.encoder).to(play.device)
    count = max(2, play.moments // 3)
    draw = play.drawer(count)

    def loss() -> dict[str, Tensor]:
        moments = play.stilled(draw())
        views = play.pairs(moments)
        return model.loss(views, play.views(moments), play.generator)

    def follow() -> None:
        ema_update(model.teacher, model.student, MOMENTUM)

    return Learner(Job(model, loss, follow), model.teacher.encoder, None, 3 * count)
