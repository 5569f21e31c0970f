"""Learning latents that actions predict: an action-conditioned JEPA objective."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.predictors.action_predictor import ActionPredictor, ActionPredictorSpec
from worldmodel.projectors.projector import Projector, ProjectorSpec
from worldmodel.training.collapse import latent_stats
from worldmodel.training.objectives.sigreg import SIGReg

MOVES = 4  # action dimensions that move the gripper; the others are latches
SLOW_FEATURES = 16
NEAR = 0.1  # error of a place up to which it counts squared
AMOUNT = 0.2  # weight of a word's amount beside its place


@dataclass(frozen=True)
class ObjectiveWeights:
    """Weights of the terms.

    Attributes:
        forced: prediction of the next latent from true ones (teacher forcing).
        rolled: prediction of all later latents from the first ones.
        inverse: linear prediction of the motion commanded between two latents.
        proprio: linear prediction of proprio.
        blobs: linear prediction of where each colour blob is.
        object_positions: linear prediction of where things are, in the hand's
            coordinates.
        contrast: telling an episode from others by what changes slowly.
        sigreg: Gaussianity of the latents, against collapse.
    """

    forced: float = 0.5
    rolled: float = 0.5
    inverse: float = 1.0
    proprio: float = 0.5
    blobs: float = 2.0
    object_positions: float = 2.0
    contrast: float = 0.3
    sigreg: float = 0.05


@dataclass(frozen=True)
class Experience:
    """What goes with the pictures of B windows of T consecutive frames.

    Windows 2i and 2i + 1 are of one episode, all others of any.

    Attributes:
        actions: (B, T, A), the action taken at each.
        proprio: (B, T, S) standardised, what the robot felt at each; S may be 0.
        blobs: (B, T, K, 4) row, column and amount of each visual word, standardised,
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


class LatentObjectives(nn.Module):
    """A projector and a predictor that learn together from tokens and actions.

    Targets are not detached: what keeps the latents from collapsing is SIGReg
    (Balestriero & LeCun 2025), as in LeWorldModel. More terms make the latents say
    what matters sooner. What the robot feels must be a linear function of its latent,
    and the motion commanded between two moments one of their latents' difference
    (inverse dynamics): both find the gripper. And two moments of an episode must be
    told from those of others by a few linear features (InfoNCE, van den Oord et al.
    2018; over time as in Sermanet et al. 2018), which finds what the gripper rarely
    moves: the cube.

    Args:
        projector: architecture.
        predictor: architecture; None leaves prediction out.
        weights: of the terms.
        proprio_size: dimensions S of proprio; 0 leaves that term out.
        words: colour blobs K; 0 leaves that term out.
        things: things J whose places are told; 0 leaves that term out.
    """

    def __init__(
        self,
        projector: ProjectorSpec,
        predictor: ActionPredictorSpec | None,
        weights: ObjectiveWeights,
        proprio_size: int = 0,
        words: int = 0,
        things: int = 0,
    ) -> None:
        super().__init__()
        if predictor is not None and predictor.latent_dim != projector.dim:
            raise ValueError(
                f"predictor.latent_dim must be projector.dim={projector.dim}, "
                f"got {predictor.latent_dim}"
            )
        self.weights = weights
        self.projector = Projector(projector)
        self.predictor = None if predictor is None else ActionPredictor(predictor)
        self.inverse = nn.Linear(projector.dim, MOVES, bias=False)
        self.proprio = nn.Linear(projector.dim, proprio_size) if proprio_size else None
        self.blobs = nn.Linear(projector.dim, 3 * words) if words else None
        self.object_positions = nn.Linear(projector.dim, 3 * things) if things else None
        self.slow = nn.Linear(projector.dim, SLOW_FEATURES)
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
        latents = self.projector(tokens).float()  # (B, T, D)
        terms = {
            **self._prediction_errors(latents, batch.actions, generator),
            "inverse": self._inverse_error(latents, batch.actions),
            "proprio": self._proprio_error(latents, batch.proprio),
            "blobs": self._blobs_error(latents, batch.blobs),
            "object_positions": self._object_positions_error(
                latents, batch.object_positions
            ),
            "contrast": self._contrast(latents, batch.episodes),
            "sigreg": self.sigreg(latents.flatten(0, 1), generator),
        }
        weighted = [getattr(self.weights, name) * v for name, v in terms.items()]
        stats = asdict(latent_stats(latents.detach().flatten(0, 1)))
        watched = {name: torch.tensor(value) for name, value in stats.items()}
        return {"total": torch.stack(weighted).sum(), **terms, **watched}

    def _prediction_errors(
        self, latents: Tensor, actions: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Errors of one step and of roll-outs; 0 without a predictor."""
        if self.predictor is None:
            return dict.fromkeys(("forced", "rolled"), latents.new_zeros(()))
        known = some_known(self.predictor, latents.shape[1], generator)
        forced = forced_change(self.predictor, latents, actions)
        rolled = rolled_change(self.predictor, latents, actions, known)
        return {"forced": forced.square().mean(), "rolled": rolled.square().mean()}

    def _inverse_error(self, latents: Tensor, actions: Tensor) -> Tensor:
        """Error of the summed motion between any two moments, averaged over lags."""
        summed = actions[..., :MOVES].cumsum(dim=1)
        before = summed - actions[..., :MOVES]  # commanded until each moment
        errors = []
        for lag in range(1, latents.shape[1]):
            found = self.inverse(latents[:, lag:] - latents[:, :-lag])
            errors.append(F.mse_loss(found, before[:, lag:] - before[:, :-lag]))
        return torch.stack(errors).mean()

    def _proprio_error(self, latents: Tensor, proprio: Tensor) -> Tensor:
        if self.proprio is None:
            return latents.new_zeros(())
        return F.mse_loss(self.proprio(latents).float(), proprio)

    def _blobs_error(self, latents: Tensor, words: Tensor) -> Tensor:
        """Huber error of places, each as far as it is to be trusted, and of amounts."""
        if self.blobs is None:
            return latents.new_zeros(())
        told = self.blobs(latents).float().unflatten(-1, (-1, 3))  # (B, T, K, 3)
        errors = F.smooth_l1_loss(told, words[..., :3], beta=NEAR, reduction="none")
        places = (words[..., 3:] * errors[..., :2]).mean()
        return places + AMOUNT * errors[..., 2].mean()

    def _object_positions_error(self, latents: Tensor, places: Tensor) -> Tensor:
        """Huber error of where things are, each as far as it is to be trusted."""
        if self.object_positions is None:
            return latents.new_zeros(())
        told = (
            self.object_positions(latents).float().unflatten(-1, (-1, 3))
        )  # (B, T, J, 3)
        errors = F.smooth_l1_loss(told, places[..., :3], beta=NEAR, reduction="none")
        return (places[..., 3:] * errors).mean()

    def _contrast(self, latents: Tensor, episodes: Tensor) -> Tensor:
        """InfoNCE between the two windows of each episode, squared distances.

        Other pairs of a window's own episode are no negatives: what is looked for may
        not have changed.
        """
        features = self.slow(latents).float().mean(dim=1)  # (B, SLOW_FEATURES)
        closeness = -torch.cdist(features[0::2], features[1::2]).square()
        who = episodes[0::2]
        same = torch.arange(len(who), device=who.device)
        left_out = (who[:, None] == who) & (same[:, None] != same)
        closeness = closeness.masked_fill(left_out, float("-inf"))
        there = F.cross_entropy(closeness, same)
        return 0.5 * (there + F.cross_entropy(closeness.T, same))


def some_known(
    predictor: ActionPredictor, time: int, generator: torch.Generator
) -> int:
    """Latents that a roll-out starts from, of `time`: as many as planning may know."""
    most = min(predictor.spec.window, time - 1)
    return int(torch.randint(1, most + 1, (), generator=generator))


def forced_change(
    predictor: ActionPredictor, latents: Tensor, actions: Tensor
) -> Tensor:
    """What the next latents differ by from those predicted from true ones.

    Args:
        predictor: imagines.
        latents: (B, T, D).
        actions: (B, T, A).

    Returns:
        (B, T - 1, D).
    """
    return predictor(latents[:, :-1], actions[:, :-1]) - latents[:, 1:]


def rolled_change(
    predictor: ActionPredictor, latents: Tensor, actions: Tensor, known: int
) -> Tensor:
    """As `forced_change`, all later latents rolled out from the first `known`.

    Returns:
        (B, T - known, D).
    """
    past, taken = latents[:, :known], actions[:, : known - 1]
    future = predictor.rollout(past, taken, actions[:, None, known - 1 : -1])
    return future[:, 0] - latents[:, known:]


def prediction_error(change: Tensor, huber: float | None) -> Tensor:
    """Mean square of differences; above `huber` they count linearly."""
    if huber is None:
        return change.square().mean()
    return 2 * F.huber_loss(change, torch.zeros_like(change), delta=huber)
