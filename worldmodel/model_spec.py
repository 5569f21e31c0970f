"""What a world model is made of, as `config.json` of a checkpoint says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from worldmodel.action_spec import ActionSpec
from worldmodel.costs.distances import LearnedSpec
from worldmodel.costs.goal_cost import GoalCost
from worldmodel.encoders import EncoderSpec
from worldmodel.files.plain import of_plain
from worldmodel.policy_prior import PolicyPriorSpec
from worldmodel.predictors import ActionPredictorSpec
from worldmodel.projectors.projector import ProjectorSpec


@dataclass(frozen=True)
class WorldModelSpec:
    """Architecture and meaning of a world model.

    Attributes:
        encoder: the frozen encoder, ours or a published one.
        projector: its tokens to planning latents.
        predictor: the action-conditioned predictor.
        action_spec: what the actions mean.
        distances: the learned goal distances.
        policy_prior: what proposes actions to a search, or None.
        proprio_correction: leading dimensions of proprio that correct latents; 0 for
            none.
        proprio_estimator: its tokens to the proprio that the proprio correction takes,
            for pictures that come without; or None, where latents tell what they tell.
        cost: the goal cost that planning uses unless told otherwise.
        proprio_dim: of the proprio that it was trained with; 0 where not known.
        error_covariance: whether the covariance of prediction errors on ordinary play
            is known, by which surprise is measured.
        predictors: how many predictors there are, of the same architecture; plans are
            judged by the mean of the costs in all of them, all else by the first.
    """

    kind: ClassVar[str] = "world_model"
    encoder: EncoderSpec
    projector: ProjectorSpec
    predictor: ActionPredictorSpec
    action_spec: ActionSpec
    distances: LearnedSpec = field(default_factory=LearnedSpec)
    policy_prior: PolicyPriorSpec | None = None
    proprio_correction: int = 0
    proprio_estimator: ProjectorSpec | None = None
    cost: GoalCost = field(default_factory=GoalCost)
    proprio_dim: int = 0
    error_covariance: bool = False
    predictors: int = 1

    def __post_init__(self) -> None:
        self._check_latents()
        if self.predictors < 1:
            raise ValueError(f"predictors must be at least 1, got {self.predictors}")
        if self.proprio_correction < 0:
            raise ValueError(
                f"proprio_correction must be at least 0, got {self.proprio_correction}"
            )
        if 0 < self.proprio_dim < self.proprio_correction or self.proprio_dim < 0:
            raise ValueError(
                "proprio_dim must be 0 or at least "
                f"proprio_correction={self.proprio_correction}, got {self.proprio_dim}"
            )
        if (
            self.proprio_estimator is not None
            and self.proprio_estimator.dim != self.proprio_correction
        ):
            raise ValueError(
                f"proprio_estimator.dim must be "
                f"proprio_correction={self.proprio_correction}, got "
                f"{self.proprio_estimator.dim}"
            )
        wanted = self.action_spec.step_size
        for name, part in (
            ("predictor", self.predictor),
            ("policy_prior", self.policy_prior),
        ):
            if part is not None and part.action_size != wanted:
                raise ValueError(
                    f"{name}.action_size must be {wanted} as the action spec says, "
                    f"got {part.action_size}"
                )

    def _check_latents(self) -> None:
        """Raises if what one part gives is not what the next one takes."""
        encoder = self.encoder
        for part in (self.projector, self.proprio_estimator):
            if part is not None:
                part.require(encoder.patches, encoder.dim, encoder.blob_dim)
        parts = {"predictor": self.predictor.latent_dim}
        if self.distances.temporal is not None:
            parts["distances.temporal.projection"] = (
                self.distances.temporal.projection.latent_dim
            )
        if self.policy_prior is not None:
            parts["policy_prior.projection"] = self.policy_prior.projection.latent_dim
        for name, dim in parts.items():
            if dim != self.projector.dim:
                raise ValueError(
                    f"{name}.latent_dim must be projector.dim={self.projector.dim}, "
                    f"got {dim}"
                )

    def to_json(self) -> dict[str, Any]:
        """The spec as plain JSON values."""
        return {
            "encoder": asdict(self.encoder),
            "projector": asdict(self.projector),
            "predictor": asdict(self.predictor),
            "action_spec": self.action_spec.to_json(),
            "distances": asdict(self.distances),
            "policy_prior": None
            if self.policy_prior is None
            else asdict(self.policy_prior),
            "proprio_correction": self.proprio_correction,
            "proprio_estimator": None
            if self.proprio_estimator is None
            else asdict(self.proprio_estimator),
            "cost": asdict(self.cost),
            "proprio_dim": self.proprio_dim,
            "error_covariance": self.error_covariance,
            "predictors": self.predictors,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> WorldModelSpec:
        """The spec from what `to_json` gave.

        Raises:
            WorldModelError: a field is missing, unknown, or of another type or size.
        """
        return of_plain(cls, values, "spec")
