"""Learning latents that actions predict: an action-conditioned JEPA objective."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.predictors.action_predictor import ActionPredictor, ActionPredictorSpec
from worldmodel.predictors.compressor import Compressor, CompressorSpec
from worldmodel.pretraining.regularizers import SIGReg

MOVES = 4  # action dimensions whose effect two neighbouring frames show


@dataclass(frozen=True)
class DynamicsWeights:
    """Weights of the terms.

    Attributes:
        forced: prediction of the next latent from true ones (teacher forcing).
        rolled: prediction of all later latents from the first ones.
        inverse: prediction of the action between two latents.
        sigreg: Gaussianity of the latents, against collapse.
    """

    forced: float = 0.5
    rolled: float = 0.5
    inverse: float = 0.2
    sigreg: float = 0.05


class LatentDynamics(nn.Module):
    """A compressor and a predictor that learn together from tokens and actions.

    Targets are not detached: what keeps the latents from collapsing is SIGReg
    (Balestriero & LeCun 2025), as in LeWorldModel.
    """

    def __init__(
        self,
        compressor: CompressorSpec,
        predictor: ActionPredictorSpec,
        weights: DynamicsWeights,
    ) -> None:
        super().__init__()
        if predictor.latent_dim != compressor.dim:
            raise ValueError(
                f"predictor.latent_dim must be compressor.dim={compressor.dim}, "
                f"got {predictor.latent_dim}"
            )
        self.weights = weights
        self.compressor = Compressor(compressor)
        self.predictor = ActionPredictor(predictor)
        self.inverse = nn.Sequential(
            nn.Linear(2 * compressor.dim, 256), nn.GELU(), nn.Linear(256, MOVES)
        )
        self.sigreg = SIGReg()

    def loss(
        self, tokens: Tensor, actions: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """The terms of a batch by name; `total` is the one to differentiate.

        Args:
            tokens: (B, T, P, token_dim) of consecutive frames.
            actions: (B, T, A), the action taken at each.
            generator: source of randomness.
        """
        latents = self.compressor(tokens).float()  # (B, T, D)
        known = self._known(latents.shape[1], generator)
        terms = {
            "forced": self._forced_error(latents, actions),
            "rolled": self._rolled_error(latents, actions, known),
            "inverse": self._inverse_error(latents, actions),
            "sigreg": self.sigreg(latents.flatten(0, 1), generator),
        }
        weighted = [getattr(self.weights, name) * v for name, v in terms.items()]
        std = latents.detach().flatten(0, 1).std(dim=0).mean()
        return {"total": torch.stack(weighted).sum(), **terms, "std": std}

    def _known(self, time: int, generator: torch.Generator) -> int:
        """Latents that a roll-out starts from: as many as planning will know."""
        most = min(self.predictor.spec.window, time - 1)
        return int(torch.randint(1, most + 1, (), generator=generator))

    def _forced_error(self, latents: Tensor, actions: Tensor) -> Tensor:
        predicted = self.predictor(latents[:, :-1], actions[:, :-1])
        return F.mse_loss(predicted, latents[:, 1:])

    def _rolled_error(self, latents: Tensor, actions: Tensor, known: int) -> Tensor:
        past, taken = latents[:, :known], actions[:, : known - 1]
        future = self.predictor.rollout(past, taken, actions[:, None, known - 1 : -1])
        return F.mse_loss(future[:, 0], latents[:, known:])

    def _inverse_error(self, latents: Tensor, actions: Tensor) -> Tensor:
        pairs = torch.cat((latents[:, :-1], latents[:, 1:]), dim=-1)
        return F.mse_loss(self.inverse(pairs), actions[:, :-1, :MOVES])
