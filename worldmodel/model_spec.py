"""What a world model is made of, as `config.json` of a checkpoint says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from worldmodel.action_spec import ActionSpec
from worldmodel.costs.goal_cost import GoalCost
from worldmodel.costs.goal_projection import LookSpec
from worldmodel.costs.learned import LearnedSpec
from worldmodel.costs.temporal import TemporalDistanceSpec
from worldmodel.encoders import VideoViTSpec
from worldmodel.policy_prior import HabitSpec
from worldmodel.predictors import ActionPredictorSpec
from worldmodel.projectors.projector import CompressorSpec


@dataclass(frozen=True)
class WorldModelSpec:
    """Architecture and meaning of a world model.

    Attributes:
        encoder: the frozen video encoder.
        compressor: its tokens to planning latents.
        predictor: the action-conditioned predictor.
        action_spec: what the actions mean.
        distances: the learned goal distances.
        habit: what proposes actions to a search, or None.
        anchor: leading dimensions of proprio that correct latents; 0 for none.
        reader: its tokens to the proprio that the anchor takes, for pictures that come
            without; or None, where latents tell what they tell.
        cost: the goal cost that planning uses unless told otherwise.
    """

    encoder: VideoViTSpec
    compressor: CompressorSpec
    predictor: ActionPredictorSpec
    action_spec: ActionSpec
    distances: LearnedSpec = field(default_factory=LearnedSpec)
    habit: HabitSpec | None = None
    anchor: int = 0
    reader: CompressorSpec | None = None
    cost: GoalCost = field(default_factory=GoalCost)

    def __post_init__(self) -> None:
        self._check_latents()
        if self.anchor < 0:
            raise ValueError(f"anchor must be at least 0, got {self.anchor}")
        if self.reader is not None and self.reader.dim != self.anchor:
            raise ValueError(
                f"reader.dim must be anchor={self.anchor}, got {self.reader.dim}"
            )
        wanted = self.action_spec.size * self.action_spec.block
        for name, part in (("predictor", self.predictor), ("habit", self.habit)):
            if part is not None and part.action_size != wanted:
                raise ValueError(
                    f"{name}.action_size must be {wanted} as the action spec says, "
                    f"got {part.action_size}"
                )

    def _check_latents(self) -> None:
        """Raises if what one part gives is not what the next one takes."""
        encoder = self.encoder
        for part in (self.compressor, self.reader):
            if part is not None:
                part.require(encoder.patches, encoder.dim, encoder.told)
        parts = {"predictor": self.predictor.latent_dim}
        if self.distances.temporal is not None:
            parts["distances.temporal.look"] = self.distances.temporal.look.latent_dim
        if self.habit is not None:
            parts["habit.look"] = self.habit.look.latent_dim
        for name, dim in parts.items():
            if dim != self.compressor.dim:
                raise ValueError(
                    f"{name}.latent_dim must be compressor.dim={self.compressor.dim}, "
                    f"got {dim}"
                )

    def to_json(self) -> dict[str, Any]:
        """The spec as plain JSON values."""
        return {
            "encoder": asdict(self.encoder),
            "compressor": asdict(self.compressor),
            "predictor": asdict(self.predictor),
            "action_spec": self.action_spec.to_json(),
            "distances": asdict(self.distances),
            "habit": None if self.habit is None else asdict(self.habit),
            "anchor": self.anchor,
            "reader": None if self.reader is None else asdict(self.reader),
            "cost": asdict(self.cost),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> WorldModelSpec:
        """The spec from what `to_json` gave."""
        distances = dict(values["distances"])
        if distances["temporal"] is not None:
            temporal = _with_look(distances["temporal"])
            distances["temporal"] = TemporalDistanceSpec(**temporal)
        habit, reader = values["habit"], values["reader"]
        return cls(
            encoder=VideoViTSpec(**values["encoder"]),
            compressor=CompressorSpec(**values["compressor"]),
            predictor=ActionPredictorSpec(**values["predictor"]),
            action_spec=ActionSpec.from_json(values["action_spec"]),
            distances=LearnedSpec(**distances),
            habit=None if habit is None else HabitSpec(**_with_look(habit)),
            anchor=values["anchor"],
            reader=None if reader is None else CompressorSpec(**reader),
            cost=GoalCost(**values["cost"]),
        )


def _with_look(values: Mapping[str, Any]) -> dict[str, Any]:
    return {**values, "look": LookSpec(**values["look"])}
