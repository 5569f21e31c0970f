"""Objectives of a scene with coloured things and a hand; all of them are optional.

Nothing else in `training` knows of them: with `TabletopRecipe()` a model learns from
frames and actions alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from worldmodel.costs.distances import ReadDistance
from worldmodel.costs.goal_projection import GoalProjectionSpec
from worldmodel.data import FrameCache
from worldmodel.encoders import EncoderSpec, FrozenEncoder
from worldmodel.errors import WorldModelError
from worldmodel.projectors.projector import ProjectorSpec
from worldmodel.projectors.proprio_correction import ProprioCorrection
from worldmodel.training.blobs import blob_sums, blob_targets
from worldmodel.training.latents import LatentEpisodes, proprio_corrected
from worldmodel.training.object_positions import HAND, object_position_targets
from worldmodel.training.objectives.projection import Told
from worldmodel.training.projector import Targets
from worldmodel.training.proprio import proprio_statistics, standardised_proprio
from worldmodel.training.proprio_estimator import ProprioEstimatorRecipe
from worldmodel.training.readouts import (
    object_directions,
    position_readout,
    proprio_distance,
    proprio_readout,
)


@dataclass(frozen=True, eq=False)
class Readouts:
    """What is read from frozen latents, by least squares.

    Attributes:
        directions: (R, D) that distance and prior look at; None for the whole latent.
        proprio_correction: corrects latents by measured proprio, or None.
        proprio_distance: compares the robot's pose, or None.
    """

    directions: Tensor | None = None
    proprio_correction: ProprioCorrection | None = None
    proprio_distance: ReadDistance | None = None

    def corrected(self, data: LatentEpisodes, frames: FrameCache) -> LatentEpisodes:
        """Latents of a dataset, corrected by its proprio."""
        if self.proprio_correction is None:
            return data
        return proprio_corrected(data, self.proprio_correction, frames)


@dataclass(frozen=True)
class TabletopRecipe:
    """Which of a tabletop's own objectives are on.

    Attributes:
        proprio: leading dimensions of proprio that latents tell; 0 for none.
        goal_proprio: leading dimensions of these that a goal cost may compare; 0 for
            none.
        proprio_correction: whether latents are corrected by the proprio measured with
            them, and goals by a proprio estimator.
        object_dims: directions that say where the encoder's object slots are, in the
            hand's coordinates, and how they are turned; goals are about the first
            three of each. Distance and policy prior look at these and at proprio, 0
            for the whole latent. The first three numbers of proprio are the hand's
            place.
        proprio_estimator: how the estimator is trained.
    """

    proprio: int = 0
    goal_proprio: int = 0
    proprio_correction: bool = False
    object_dims: int = 0
    proprio_estimator: ProprioEstimatorRecipe = field(
        default_factory=ProprioEstimatorRecipe
    )

    def __post_init__(self) -> None:
        for name in ("proprio", "object_dims"):
            if getattr(self, name) < 0:
                raise ValueError(
                    f"{name} must be at least 0, got {getattr(self, name)}"
                )
        if not 0 <= self.goal_proprio <= self.proprio:
            raise ValueError(
                f"goal_proprio must be in [0, proprio={self.proprio}], got "
                f"{self.goal_proprio}"
            )
        if self.proprio_correction and not self.proprio:
            raise ValueError(
                "proprio_correction needs proprio above 0, got 0; or set it to false"
            )
        if self.object_dims and self.proprio < HAND:
            raise ValueError(
                f"object_dims needs at least {HAND} dimensions of proprio, the hand's "
                f"place, got proprio={self.proprio}; or set object_dims to 0"
            )

    def projection(self, encoder: EncoderSpec, dim: int) -> GoalProjectionSpec:
        """What of a latent (D) distance and policy prior look at.

        Raises:
            WorldModelError: the encoder does not know so many things.
        """
        if not self.object_dims:
            return GoalProjectionSpec(dim)
        goal = 3 * encoder.num_slots
        if not 0 < goal <= self.object_dims:
            raise WorldModelError(
                "object_dims must be at least 3 for each of the encoder's object "
                f"slots, and it must have some; got object_dims={self.object_dims} "
                f"and {encoder.num_slots} slots; or set object_dims to 0"
            )
        if self.object_dims > dim:
            raise WorldModelError(
                f"object_dims must be at most the latent's width {dim}, got "
                f"{self.object_dims}"
            )
        return GoalProjectionSpec(dim, self.object_dims + self.proprio, goal)

    def estimator_spec(self, projector: ProjectorSpec) -> ProjectorSpec | None:
        """Architecture of the proprio estimator, None where there is none."""
        if not self.proprio_correction:
            return None
        return self.proprio_estimator.spec(projector, self.proprio)

    def told(self, encoder: EncoderSpec, action_size: int) -> Told:
        """How many numbers of each kind latents tell."""
        slots = encoder.num_slots if self.object_dims else 0
        return Told(action_size, self.proprio, encoder.num_blobs, slots)

    def targets(self, encoder: FrozenEncoder, frames: FrameCache) -> Targets:
        """What latents shall tell of every frame."""
        blobs, slots = torch.zeros(len(frames.frames), 0, 4), encoder.spec.num_slots
        if encoder.spec.num_blobs:
            sums = blob_sums(frames, *encoder.color_blobs())
            blobs = blob_targets(frames, sums, slots)
        return Targets(
            standardised_proprio(frames, self.proprio),
            blobs,
            object_position_targets(frames, blobs, slots if self.object_dims else 0),
        )

    def readouts(
        self, data: LatentEpisodes, targets: Targets, frames: FrameCache
    ) -> Readouts:
        """Read-outs of latents: of proprio, and of where things are."""
        if not self.proprio:
            return Readouts()
        proprio = proprio_readout(data.latents, targets.proprio, frames)
        objects = directions = correction = None
        if self.object_dims:
            read = position_readout(data.latents, targets.object_positions, frames)
            objects = object_directions(data, read, self.object_dims)
            directions = torch.cat((objects, proprio.weight.to(objects)))
        if self.proprio_correction:
            mean, std = proprio_statistics(frames, self.proprio)
            correction = ProprioCorrection.of(proprio, mean, std, objects)
        distance = proprio_distance(proprio, self.goal_proprio)
        return Readouts(directions, correction, distance)
