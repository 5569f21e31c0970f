"""A video JEPA whose latents can be planned in: six terms, none about a scene.

Tokens predict hidden tokens (V-JEPA). One latent per moment, a projection of its
tokens, is predicted from earlier ones and actions, tells which motion was commanded
between two moments, is kept from collapsing, compared over time, and tells the robot's
proprio where there is any.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.encoders.video_vit import VideoViT, VideoViTSpec
from worldmodel.predictors.action_predictor import ActionPredictor, ActionPredictorSpec
from worldmodel.projectors.projector import Projector, ProjectorSpec
from worldmodel.training.chance import on_device
from worldmodel.training.distributed import gathered, share, size
from worldmodel.training.objectives.action_conditioned import (
    draw_known,
    inverse_error,
    prediction_error,
)
from worldmodel.training.objectives.clips import pairs_of, stand_still, stilled
from worldmodel.training.objectives.masking import Masks
from worldmodel.training.objectives.sigreg import SIGReg, random_directions
from worldmodel.training.objectives.temporal_contrast import TemporalContrast
from worldmodel.training.objectives.vjepa import video_masked_prediction
from worldmodel.training.objectives.weights import require_weights


@dataclass(frozen=True)
class JEPAWeights:
    """Weights of the terms; a term of weight 0 is left out.

    Attributes:
        masked: of hidden tokens, predicted from visible ones.
        prediction: of later latents, from earlier ones and actions.
        inverse: linear prediction of the motion commanded between two latents.
        sigreg: Gaussianity of the latents, against collapse.
        contrast: of moments that follow each other against those of other episodes.
        proprio: linear prediction of what the robot felt.
    """

    masked: float = 0.25
    prediction: float = 1.0
    inverse: float = 1.0
    sigreg: float = 0.02
    contrast: float = 0.5
    proprio: float = 1.0

    def __post_init__(self) -> None:
        require_weights(asdict(self))
        if not any(asdict(self).values()):
            raise ValueError("one weight must be above 0, all are 0")


@dataclass(frozen=True)
class VideoJEPASpec:
    """Everything that a `VideoJEPA` is built from.

    Attributes:
        encoder: the video ViT.
        weights: of the terms.
        latent_dim: width D of the latent that a moment's tokens are projected to.
        features: of the contrast over time.
        hidden: fraction of the patches that masked prediction hides.
        targets: hidden tokens that it asks for, per clip.
        still: fraction of single clips that stand still, as goal pictures do.
        proprio: leading dimensions of proprio that latents tell; 0 for none.
    """

    encoder: VideoViTSpec = field(default_factory=VideoViTSpec)
    weights: JEPAWeights = field(default_factory=JEPAWeights)
    latent_dim: int = 64
    features: int = 16
    hidden: float = 0.75
    targets: int = 16
    still: float = 0.3
    proprio: int = 0

    def __post_init__(self) -> None:
        for name, least in (("latent_dim", 1), ("features", 1), ("proprio", 0)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name} must be at least {least}, got {getattr(self, name)}"
                )
        if not 0.0 <= self.still <= 1.0:
            raise ValueError(f"still must be in [0, 1], got {self.still}")


@dataclass(frozen=True)
class Moments:
    """A batch: B windows of T consecutive model steps, each with a later moment.

    Of several processes each has its share of the pictures, and all of the rest; see
    `training.distributed`.

    Attributes:
        clips: (B, T + 1, height, width, 3) uint8: the frame before the window, then its
            own.
        actions: (B, T, A), the action taken at each.
        proprio: (B, T, S) standardised; S may be 0.
        later: (B, 2, height, width, 3) uint8, a later moment and the frame before it;
            (0, 2, ...) where there is no contrast over time.
        episodes: (B,) int64.
        masked: (C, F, height, width, 3) uint8, C clips for masked prediction.
    """

    clips: Tensor
    actions: Tensor
    proprio: Tensor
    later: Tensor
    episodes: Tensor
    masked: Tensor


@dataclass(frozen=True)
class Chance:
    """What chance decides about a batch.

    Attributes:
        stand: bool (B T), the moments that are seen as a picture that stands still.
        later_stand: bool, likewise of the later moments.
        known: latents that a roll-out knows; None where nothing is predicted.
        directions: (D, n) that SIGReg looks along; None where it has no weight.
        masks: of the clips for masked prediction; None where it has no weight.
    """

    stand: Tensor
    later_stand: Tensor
    known: int | None
    directions: Tensor | None
    masks: Masks | None


class VideoJEPA(nn.Module):
    """An encoder and a projector with what they are trained by.

    Targets of latents are not detached: SIGReg keeps them from collapsing (LeJEPA,
    Balestriero & LeCun 2025; LeWorldModel, Maes et al. 2026). Targets of tokens come
    from a moving average of the encoder (Assran et al. 2025).
    """

    def __init__(self, spec: VideoJEPASpec, action_size: int) -> None:
        super().__init__()
        self.spec, dim, weights = spec, spec.latent_dim, spec.weights
        self.masked = video_masked_prediction(spec.encoder, spec.hidden, spec.targets)
        self.projector = Projector(ProjectorSpec.of(spec.encoder, dim))
        self.predictor = self.inverse = self.contrast = self.proprio = None
        if weights.prediction:
            self.predictor = ActionPredictor(ActionPredictorSpec(dim, action_size))
        if weights.inverse:
            self.inverse = nn.Linear(dim, action_size, bias=False)
        if weights.contrast:
            self.contrast = TemporalContrast(dim, spec.features)
        if weights.proprio and spec.proprio:
            self.proprio = nn.Linear(dim, spec.proprio)
        self.sigreg = SIGReg()

    @property
    def encoder(self) -> VideoViT:
        """The encoder in training."""
        return self.masked.online

    def encode(self, clips: Tensor) -> Tensor:
        """Clips (B, 2, height, width, 3) -> latents (B, D)."""
        return self.projector(self.encoder.newest(clips)).float()

    def draw(self, batch: Moments, generator: torch.Generator) -> Chance:
        """Draws what `loss` needs beside a batch, on the batch's device.

        Args:
            batch: what to learn from.
            generator: source of randomness, on the CPU or there.
        """
        (windows, steps), spec = batch.actions.shape[:2], self.spec
        weights = spec.weights
        source = on_device(generator, batch.clips.device)
        return Chance(
            stand_still(windows * steps, spec.still, source),
            stand_still(len(batch.later) * size(), spec.still, source),
            draw_known(self.predictor, steps, generator) if self.predictor else None,
            random_directions(spec.latent_dim, self.sigreg.directions, source)
            if weights.sigreg
            else None,
            self.masked.draw_masks(batch.masked, generator) if weights.masked else None,
        )

    def loss(self, batch: Moments, chance: Chance) -> dict[str, Tensor]:
        """The terms by name; `total` is the one to differentiate.

        Args:
            batch: what to learn from.
            chance: `draw` of it.
        """
        weights, (windows, steps) = self.spec.weights, batch.actions.shape[:2]
        singles = stilled(pairs_of(batch.clips), share(chance.stand))
        later = stilled(batch.later, share(chance.later_stand))
        own = self.encode(torch.cat((singles, later))).split((len(singles), len(later)))
        latents = gathered(own[0]).view(windows, steps, -1)  # (B, T, D)
        after = gathered(own[1])  # (B, D)
        terms: dict[str, Tensor] = {}
        if self.predictor is not None and chance.known is not None:
            terms["prediction"] = prediction_error(
                self.predictor, latents, batch.actions, chance.known
            )
        if self.inverse is not None:
            terms["inverse"] = inverse_error(self.inverse, latents, batch.actions)
        if chance.directions is not None:
            terms["sigreg"] = self.sigreg.along(
                latents.flatten(0, 1), chance.directions
            )
        if self.contrast is not None:
            terms["contrast"] = self.contrast.loss(latents[:, 0], after, batch.episodes)
        if self.proprio is not None:
            told = self.proprio(latents).float()
            terms["proprio"] = F.mse_loss(told, batch.proprio)
        if chance.masks is not None:
            terms["masked"] = self.masked.loss(batch.masked, chance.masks).prediction
        weighted = [getattr(weights, name) * value for name, value in terms.items()]
        return {
            "total": torch.stack(weighted).sum(),
            **terms,
            "latent_std": latents.detach().flatten(0, 1).std(0).mean(),
        }
