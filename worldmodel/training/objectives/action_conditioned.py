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

SLOW_FEATURES = 16
NEAR = 0.1  # error of a place up to which it counts squared
AMOUNT = 0.2  # weight of a blob's amount beside its place


@dataclass(frozen=True)
class ObjectiveWeights:
    """Weights of the terms; a term of weight 0 is left out.

    Attributes:
        prediction: of later latents, by a predictor that learns beside the projector.
        inverse: linear prediction of the motion commanded between two latents.
        contrast: telling an episode from others by what changes slowly.
        sigreg: Gaussianity of the latents, against collapse.
        proprio: linear prediction of proprio.
        blobs: linear prediction of where each colour blob is.
        object_positions: linear prediction of where things are, in the hand's
            coordinates.
    """

    prediction: float = 0.0
    inverse: float = 0.0
    contrast: float = 0.0
    sigreg: float = 0.0
    proprio: float = 0.0
    blobs: float = 0.0
    object_positions: float = 0.0

    def __post_init__(self) -> None:
        for name, weight in asdict(self).items():
            if not weight >= 0:
                raise ValueError(f"weights.{name} must be at least 0, got {weight}")

    def any(self) -> bool:
        """Whether a term is left."""
        return any(asdict(self).values())

    def require_telling(self, told: Told) -> None:
        """Raises ValueError unless some term makes latents tell something."""
        general = self.prediction + self.inverse + self.contrast
        read = {"proprio", "blobs", "object_positions"}
        if general or any(getattr(self, n) and getattr(told, n) for n in read):
            return
        raise ValueError(
            "the loss terms that are left would make latents tell nothing; give "
            "prediction, inverse or contrast a weight above 0 (projector.weights), or "
            "something to tell: proprio, colour blobs, object positions"
        )


@dataclass(frozen=True)
class Told:
    """How many numbers latents shall tell of each kind; 0 for none.

    Attributes:
        actions: dimensions A of an action.
        proprio: leading dimensions S of proprio.
        blobs: colour blobs K.
        object_positions: things J whose places are told.
        moves: leading dimensions of an action that inverse dynamics tells; None for
            all.
    """

    actions: int
    proprio: int = 0
    blobs: int = 0
    object_positions: int = 0
    moves: int | None = None

    def __post_init__(self) -> None:
        if self.moves is not None and not 1 <= self.moves <= self.actions:
            raise ValueError(
                f"moves must be in [1, {self.actions}], the dimensions of an action, "
                f"or null for all, got {self.moves}"
            )


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
        weights: of the terms.
        told: how many numbers there are to tell.
    """

    def __init__(
        self, projector: ProjectorSpec, weights: ObjectiveWeights, told: Told
    ) -> None:
        super().__init__()
        self.weights, dim = weights, projector.dim
        self.projector = Projector(projector)
        self.predictor = None
        if weights.prediction:
            spec = ActionPredictorSpec(dim, told.actions)
            self.predictor = ActionPredictor(spec)
        self.inverse = None
        if weights.inverse:
            self.inverse = nn.Linear(dim, told.moves or told.actions, bias=False)
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
        return self.latent_loss(self.projector(tokens).float(), batch, generator)

    def latent_loss(
        self, latents: Tensor, batch: Experience, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """As `loss`, of what the projector makes of the tokens, (B, T, D) float32."""
        terms: dict[str, Tensor] = {}
        if self.predictor is not None:
            known = draw_known(self.predictor, latents.shape[1], generator)
            terms["prediction"] = prediction_error(
                self.predictor, latents, batch.actions, known
            )
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


def draw_known(
    predictor: ActionPredictor, moments: int, generator: torch.Generator
) -> int:
    """Draws how many latents of a window are known before a roll-out.

    As many as planning may know, and at least one is left to be imagined.
    """
    most = min(predictor.spec.window, moments - 1)
    return int(torch.randint(1, most + 1, (), generator=generator))


def prediction_error(
    predictor: ActionPredictor, latents: Tensor, actions: Tensor, known: int
) -> Tensor:
    """Mean square by which later latents differ from what was predicted.

    Half of it for one step from true latents (teacher forcing), half for roll-outs
    from the first ones.

    Args:
        predictor: imagines.
        latents: (B, T, D).
        actions: (B, T, A), the action taken at each.
        known: latents that a roll-out knows, see `draw_known`.
    """
    forced = forced_change(predictor, latents, actions)
    rolled = rolled_change(predictor, latents, actions, known)
    return 0.5 * (forced.square().mean() + rolled.square().mean())


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


def _readout(weight: float, dim: int, size: int) -> nn.Linear | None:
    """A linear read-out of latents (D) for a term, None where the term is left out."""
    return nn.Linear(dim, size) if weight and size else None


def inverse_error(inverse: nn.Linear, latents: Tensor, actions: Tensor) -> Tensor:
    """Error of the summed motion between any two moments, averaged over lags."""
    moves = actions[..., : inverse.out_features]
    before = moves.cumsum(dim=1) - moves  # commanded until each moment
    errors = []
    for lag in range(1, latents.shape[1]):
        found = inverse(latents[:, lag:] - latents[:, :-lag])
        errors.append(F.mse_loss(found, before[:, lag:] - before[:, :-lag]))
    return torch.stack(errors).mean()


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
