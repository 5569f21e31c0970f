"""What a projector learns from frozen tokens: latents that plans can use."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.projectors.projector import Projector, ProjectorSpec
from worldmodel.training.collapse import latent_stats
from worldmodel.training.objectives.action_conditioned import inverse_error
from worldmodel.training.objectives.sigreg import SIGReg
from worldmodel.training.objectives.weights import require_weights

SLOW_FEATURES = 16
NEAR = 0.1  # error of a place up to which it counts squared
AMOUNT = 0.2  # weight of a blob's amount beside its place


@dataclass(frozen=True)
class ProjectorWeights:
    """Weights of the terms; a term of weight 0 is left out.

    Attributes:
        inverse: linear prediction of the motion commanded between two latents.
        contrast: telling an episode from others by what changes slowly.
        sigreg: Gaussianity of the latents, against collapse.
        proprio: linear prediction of proprio.
        blobs: linear prediction of where each colour blob is.
        object_positions: linear prediction of where things are, in the hand's
            coordinates.
    """

    inverse: float = 0.0
    contrast: float = 0.0
    sigreg: float = 0.0
    proprio: float = 0.0
    blobs: float = 0.0
    object_positions: float = 0.0

    def __post_init__(self) -> None:
        require_weights(asdict(self))

    def require_telling(self, told: Told) -> None:
        """Raises ValueError unless some term makes latents tell something."""
        general = self.inverse + self.contrast
        read = {"proprio", "blobs", "object_positions"}
        if general or any(getattr(self, n) and getattr(told, n) for n in read):
            return
        raise ValueError(
            "the loss terms that are left would make latents tell nothing; give "
            "inverse or contrast a weight above 0 (projector.weights), or something to "
            "tell: proprio, colour blobs, object positions"
        )


@dataclass(frozen=True)
class Told:
    """How many numbers latents shall tell of each kind; 0 for none.

    Attributes:
        actions: dimensions A of an action.
        proprio: leading dimensions S of proprio.
        blobs: colour blobs K.
        object_positions: things J whose places are told.
    """

    actions: int
    proprio: int = 0
    blobs: int = 0
    object_positions: int = 0


@dataclass(frozen=True)
class Experience:
    """What goes with the pictures of B windows of T consecutive frames.

    Windows 2i and 2i + 1 are of one episode, all others of any.

    Attributes:
        actions: (B, T, A), the action taken at each.
        proprio: (B, T, S) standardised, what the robot felt at each; S may be 0.
        blobs: (B, T, K, 4) row, column and amount of each colour blob, standardised,
            and the trust in its place; K may be 0. See `training.blobs.blob_targets`.
        object_positions: (B, T, J, 4) where each thing is, in the hand's coordinates,
            and the trust in that; J may be 0. See
            `training.object_positions.object_position_targets`.
        episodes: (B,) int64 number of each window's episode.
    """

    actions: Tensor
    proprio: Tensor
    blobs: Tensor
    object_positions: Tensor
    episodes: Tensor


class ProjectorObjectives(nn.Module):
    """A projector and what its latents shall tell, so that plans can use them.

    The motion commanded between two moments must be a linear function of their latents'
    difference (inverse dynamics), and what the robot feels one of its latent: both find
    the gripper. Two moments of an episode must be told from those of others by a few
    linear features (InfoNCE, van den Oord et al. 2018; over time as in Sermanet et al.
    2018), which finds what the gripper rarely moves: the cube. SIGReg (Balestriero &
    LeCun 2025) keeps latents from collapsing where these alone don't.

    Args:
        projector: architecture.
        weights: of the terms.
        told: how many numbers there are to tell.
    """

    def __init__(
        self, projector: ProjectorSpec, weights: ProjectorWeights, told: Told
    ) -> None:
        super().__init__()
        self.weights, dim = weights, projector.dim
        self.projector = Projector(projector)
        self.inverse = None
        if weights.inverse:
            self.inverse = nn.Linear(dim, told.actions, bias=False)
        self.slow = _readout(weights.contrast, dim, SLOW_FEATURES)
        self.proprio = _readout(weights.proprio, dim, told.proprio)
        self.blobs = _readout(weights.blobs, dim, 3 * told.blobs)
        self.object_positions = _readout(
            weights.object_positions, dim, 3 * told.object_positions
        )
        self.sigreg = SIGReg()

    def loss(
        self, tokens: Tensor, batch: Experience, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """The terms of a batch by name; `total` is the one to differentiate.

        Args:
            tokens: (B, T, P, token_dim) of the frames.
            batch: what goes with them.
            generator: source of randomness.
        """
        latents = self.projector(tokens).float()
        terms: dict[str, Tensor] = {}
        if self.inverse is not None:
            terms["inverse"] = inverse_error(self.inverse, latents, batch.actions)
        if self.slow is not None:
            terms["contrast"] = _contrast(self.slow, latents, batch.episodes)
        if self.weights.sigreg:
            terms["sigreg"] = self.sigreg(latents.flatten(0, 1), generator)
        if self.proprio is not None:
            told = self.proprio(latents).float()
            terms["proprio"] = F.mse_loss(told, batch.proprio)
        if self.blobs is not None:
            terms["blobs"] = _blobs_error(self.blobs, latents, batch.blobs)
        if self.object_positions is not None:
            terms["object_positions"] = _positions_error(
                self.object_positions, latents, batch.object_positions
            )
        weighted = [getattr(self.weights, name) * v for name, v in terms.items()]
        stats = asdict(latent_stats(latents.detach().flatten(0, 1)))
        watched = {name: torch.tensor(value) for name, value in stats.items()}
        return {"total": torch.stack(weighted).sum(), **terms, **watched}


def _readout(weight: float, dim: int, size: int) -> nn.Linear | None:
    """A linear read-out of latents (D) for a term, None where the term is left out."""
    return nn.Linear(dim, size) if weight and size else None


def _blobs_error(head: nn.Linear, latents: Tensor, blobs: Tensor) -> Tensor:
    """Huber error of places, each as far as it is to be trusted, and of amounts."""
    told = head(latents).float().unflatten(-1, (-1, 3))  # (B, T, K, 3)
    errors = F.smooth_l1_loss(told, blobs[..., :3], beta=NEAR, reduction="none")
    places = (blobs[..., 3:] * errors[..., :2]).mean()
    return places + AMOUNT * errors[..., 2].mean()


def _positions_error(head: nn.Linear, latents: Tensor, positions: Tensor) -> Tensor:
    """Huber error of where things are, each as far as it is to be trusted."""
    told = head(latents).float().unflatten(-1, (-1, 3))  # (B, T, J, 3)
    errors = F.smooth_l1_loss(told, positions[..., :3], beta=NEAR, reduction="none")
    return (positions[..., 3:] * errors).mean()


def _contrast(slow: nn.Linear, latents: Tensor, episodes: Tensor) -> Tensor:
    """InfoNCE between the two windows of each episode, squared distances.

    Other pairs of a window's own episode are no negatives: what is looked for may
    not have changed.
    """
    features = slow(latents).float().mean(dim=1)  # (B, SLOW_FEATURES)
    closeness = -torch.cdist(features[0::2], features[1::2]).square()
    who = episodes[0::2]
    same = torch.arange(len(who), device=who.device)
    left_out = (who[:, None] == who) & (same[:, None] != same)
    closeness = closeness.masked_fill(left_out, float("-inf"))
    there = F.cross_entropy(closeness, same)
    return 0.5 * (there + F.cross_entropy(closeness.T, same))
