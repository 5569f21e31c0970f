"""V-JEPA: predict the latents of hidden tokens from the visible ones.

Bardes et al. 2024 and Assran et al. 2025. The target is a moving average of the
encoder that sees the whole clip; the loss is taken in its layer-normed space.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.encoders.rope import THETA, Grid, Rotation, grid_rotation, select
from worldmodel.encoders.transformer import Transformer, initialise
from worldmodel.encoders.video_vit import VideoViT, VideoViTSpec
from worldmodel.training.chance import on_device
from worldmodel.training.distributed import gathered, share, size
from worldmodel.training.objectives.masking import (
    LaterMasks,
    Masks,
    MaskSampler,
    MixedMasks,
    TubeMasks,
)
from worldmodel.training.objectives.target_weights import motion

TargetWeights = Callable[[Tensor, int, int], Tensor]  # e.g. target_weights.motion


@dataclass(frozen=True)
class LatentPredictorSpec:
    """Architecture of a `LatentPredictor`, narrower than the encoder."""

    dim: int = 96
    depth: int = 2
    heads: int = 4
    mlp_ratio: float = 4.0
    theta: float = THETA


@dataclass(frozen=True)
class LossTerms:
    """Scalars of one batch.

    Attributes:
        prediction: mean loss of the predicted tokens; differentiate this one.
        target_std: standard deviation over the batch of the target encoder's tokens,
            mean over tokens and dimensions: falls toward 0 in a collapse.
    """

    prediction: Tensor
    target_std: Tensor


class LatentPredictor(nn.Module):
    """Predicts tokens at given positions from context tokens."""

    def __init__(
        self,
        spec: LatentPredictorSpec,
        latent_dim: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.enter = nn.Linear(latent_dim, spec.dim)
        self.query = nn.Parameter(torch.zeros(spec.dim))
        self.transformer = Transformer(spec.dim, spec.depth, spec.heads, spec.mlp_ratio)
        self.leave = nn.Linear(spec.dim, latent_dim)
        initialise(self, generator)
        nn.init.normal_(self.query, std=0.02, generator=generator)

    def forward(self, context: Tensor, masks: Masks, grid: Grid) -> Tensor:
        """Context (B, K, D) at masks.context -> (B, M, D) at masks.target."""
        entered = self.enter(context)
        queries = self.query.to(entered.dtype).expand(
            len(context), masks.target.shape[1], -1
        )
        whole = grid_rotation(
            grid, self.transformer.head_dim, self.spec.theta, context.device
        )
        seen, asked = select(whole, masks.context), select(whole, masks.target)
        positions = Rotation(
            torch.cat((seen.cos, asked.cos), dim=1),
            torch.cat((seen.sin, asked.sin), dim=1),
        )
        tokens = self.transformer(torch.cat((entered, queries), dim=1), positions)
        return self.leave(tokens[:, context.shape[1] :])


@dataclass(frozen=True)
class Objective:
    """What a `MaskedPrediction` minimises.

    Attributes:
        masks: which tokens are context and which are targets.
        smooth: 0 for L1; else smooth L1 that is quadratic below this difference.
        weights: `target_weights.motion` to draw targets where frames differ; None for
            uniform draws.
        weight_floor: added to the weights, so that nothing is never drawn.
    """

    masks: MaskSampler
    smooth: float = 0.0
    weights: TargetWeights | None = None
    weight_floor: float = 0.01


class MaskedPrediction(nn.Module):
    """An encoder, its moving average and a predictor, trained together.

    Call `ema_update(self.target, self.online, momentum)` after each optimiser step.
    `self.online` or `self.target` is the encoder to keep.
    """

    def __init__(
        self, online: VideoViT, predictor: LatentPredictor, objective: Objective
    ) -> None:
        super().__init__()
        self.online = online
        self.target = copy.deepcopy(online).requires_grad_(False)
        self.predictor = predictor
        self.objective = objective

    def loss(self, clips: Tensor, masks: Masks) -> LossTerms:
        """Loss of clips (B, T, height, width, 3) uint8 under masks, see `draw_masks`.

        Of several processes each gives its share of the clips, and all masks.
        """
        grid = self.online.spec.grid(clips.shape[1])
        with torch.no_grad():
            whole = gathered(self.target.tokens(clips))
        goal = normalised_target(_gather(whole, masks.target))
        own = Masks(share(masks.context), share(masks.target))
        context = self.online.tokens(clips, own.context)
        predicted = gathered(self.predictor(context, own, grid).float())
        prediction = F.smooth_l1_loss(predicted, goal, beta=self.objective.smooth)
        return LossTerms(
            prediction=prediction,
            target_std=whole.float().std(dim=0, correction=0).mean(),
        )

    def draw_masks(self, clips: Tensor, generator: torch.Generator) -> Masks:
        """Draws masks for the clips of all processes, on their device.

        Args:
            clips: this process's share, (B, T, height, width, 3) uint8.
            generator: source of randomness, on the CPU or there.
        """
        spec, weigh = self.online.spec, self.objective.weights
        grid = spec.grid(clips.shape[1])
        sampler = self.objective.masks.pick(grid, generator)
        weights = None
        if weigh is not None:
            weights = gathered(weigh(clips, spec.patch, spec.tubelet))
            weights = weights + self.objective.weight_floor
        source, count = on_device(generator, clips.device), len(clips) * size()
        masks = sampler.sample(count, grid, source, weights)
        return Masks(masks.context.to(clips.device), masks.target.to(clips.device))


def video_masked_prediction(
    encoder: VideoViTSpec, hidden: float, targets: int
) -> MaskedPrediction:
    """Masked prediction from nothing: tubes of patches, or all of the later tubelets.

    Args:
        encoder: architecture.
        hidden: fraction of the patches that tubes hide, in (0, 1).
        targets: hidden tokens that are asked for, per clip, drawn where frames differ.
    """
    masks = MixedMasks(
        (TubeMasks(hidden=hidden, targets=targets), LaterMasks(targets=targets)),
        (0.7, 0.3),
    )
    return MaskedPrediction(
        VideoViT(encoder),
        LatentPredictor(LatentPredictorSpec(), encoder.dim),
        Objective(masks=masks, weights=motion),
    )


def normalised_target(tokens: Tensor) -> Tensor:
    """Tokens (..., D), layer-normed without scale and shift, float32."""
    tokens = tokens.float()
    return F.layer_norm(tokens, tokens.shape[-1:])


@torch.no_grad()
def ema_update(target: nn.Module, online: nn.Module, momentum: float) -> None:
    """Sets each target weight to momentum * itself + (1 - momentum) * the online one.

    Buffers are copied.
    """
    if not 0.0 <= momentum <= 1.0:
        raise ValueError(f"momentum must be in [0, 1], got {momentum}")
    pairs = zip(target.parameters(), online.parameters(), strict=True)
    for mean, value in pairs:
        mean.lerp_(value.to(mean.dtype), 1.0 - momentum)
    for mean, value in zip(target.buffers(), online.buffers(), strict=True):
        mean.copy_(value)


def _gather(tokens: Tensor, indices: Tensor) -> Tensor:
    """Tokens (B, N, D) at indices (B, M) -> (B, M, D)."""
    rows = torch.arange(len(tokens), device=tokens.device)[:, None]
    return tokens[rows, indices]
