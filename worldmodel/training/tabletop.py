"""Objectives of one kind of scene: a still camera, coloured things, a hand.

They ask latents to tell where colour blobs are, where things are in the hand's frame,
and proprio; and they correct latents by the proprio that was measured. A recipe with
all of them off trains on frames and actions alone.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.costs.goal_projection import GoalProjectionSpec
from worldmodel.costs.read import ReadDistance
from worldmodel.data import FrameCache
from worldmodel.encoders import FrozenEncoder
from worldmodel.errors import WorldModelError
from worldmodel.projectors.proprio_correction import ProprioCorrection
from worldmodel.training.blobs import blob_sums, blob_targets, find_blobs
from worldmodel.training.latents import LatentEpisodes, proprio_corrected
from worldmodel.training.object_positions import HAND, object_position_targets
from worldmodel.training.projector import Targets
from worldmodel.training.proprio import proprio_statistics
from worldmodel.training.readouts import Reads, place_directions, still_directions


@dataclass(frozen=True)
class Told:
    """What latents shall tell of pictures.

    Attributes:
        targets: of every frame.
        things: how many of the blobs, the last ones, are things.
    """

    targets: Targets
    things: int


@dataclass(frozen=True, eq=False)
class Read:
    """What is read from frozen latents.

    Attributes:
        directions: (R, D) that distance and prior look at; None for the whole latent.
        proprio_correction: corrects latents by measured proprio, or None.
        proprio_distance: compares the robot's pose, or None.
    """

    directions: Tensor | None
    proprio_correction: ProprioCorrection | None
    proprio_distance: ReadDistance | None

    def corrected(self, data: LatentEpisodes, frames: FrameCache) -> LatentEpisodes:
        """Latents of a dataset, corrected by its proprio."""
        if self.proprio_correction is None:
            return data
        return proprio_corrected(data, self.proprio_correction, frames)


@dataclass(frozen=True)
class TabletopRecipe:
    """Which of a tabletop's own objectives are on.

    Attributes:
        num_blobs: colour blobs, things among them, whose places latents tell; 0 for
            none.
        object_positions: whether latents tell where things are in the hand's
            coordinates, learned from what the hand held; the first three numbers of
            proprio are its place.
        proprio: leading dimensions of proprio that latents tell; 0 for none.
        goal_proprio: leading dimensions of these that a goal cost may compare; 0 for
            none.
        proprio_correction: whether latents are corrected by the proprio measured with
            them.
    """

    num_blobs: int = 0
    object_positions: bool = False
    proprio: int = 0
    goal_proprio: int = 0
    proprio_correction: bool = False

    def __post_init__(self) -> None:
        for name in ("num_blobs", "proprio"):
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

    def require(self, projection: GoalProjectionSpec) -> None:
        """Raises ValueError unless what is looked at can be read from latents."""
        if not projection.state_dim:
            return
        if not (self.proprio and self.num_blobs):
            raise ValueError(
                "distance.spec.projection.state_dim needs proprio and num_blobs above "
                f"0, got {self.proprio} and {self.num_blobs}; or set it to 0"
            )
        most = self.proprio + 2 * self.num_blobs
        if not self.proprio < projection.state_dim <= most:
            raise ValueError(
                f"distance.spec.projection.state_dim must be 0 or in "
                f"[{self.proprio + 1}, {most}]: all of proprio={self.proprio}, and "
                f"some directions that say where things are; got {projection.state_dim}"
            )
        told = projection.state_dim - self.proprio
        if not 1 <= projection.goal_dim <= told:
            raise ValueError(
                f"distance.spec.projection.goal_dim must be in [1, {told}], the "
                f"directions that say where things are, got {projection.goal_dim}"
            )

    def require_encoder(
        self, encoder: FrozenEncoder, projection: GoalProjectionSpec
    ) -> None:
        """Raises WorldModelError unless the encoder knows what latents shall tell."""
        own, things = encoder.spec.num_blobs, encoder.spec.num_slots
        if own and self.num_blobs not in (0, own):
            raise WorldModelError(
                f"num_blobs must be {own}, as the encoder has, or 0, got "
                f"{self.num_blobs}"
            )
        if not self.object_positions:
            return
        if not (self.num_blobs and things and self.proprio >= HAND):
            raise WorldModelError(
                "object_positions needs an encoder that knows things, num_blobs above "
                f"0 and at least {HAND} dimensions of proprio, the hand's place; got "
                f"{things} things, num_blobs={self.num_blobs} and "
                f"proprio={self.proprio}; or set it to false"
            )
        told = projection.state_dim - self.proprio
        if projection.state_dim and not projection.goal_dim == 3 * things <= told:
            raise WorldModelError(
                f"distance.spec.projection.goal_dim must be {3 * things}, the places "
                f"of things in the hand's coordinates, and read at least "
                f"{self.proprio} more, got {projection.goal_dim} and "
                f"{projection.state_dim}"
            )

    def told(self, encoder: FrozenEncoder, frames: FrameCache, seed: int) -> Told:
        """What latents shall tell of every frame."""
        words = self._blobs(encoder, frames, seed)
        things = encoder.spec.num_slots
        places = object_position_targets(
            frames, words, things if self.object_positions else 0
        )
        return Told(Targets(words, places), things)

    def _blobs(self, encoder: FrozenEncoder, frames: FrameCache, seed: int) -> Tensor:
        """Where the encoder's colour blobs are, or others where it has none."""
        if not self.num_blobs:
            return torch.zeros(len(frames.frames), 0, 4)
        background, own = encoder.encoder.background.cpu(), encoder.encoder.blobs
        if own is None:
            generator = torch.Generator().manual_seed(seed)
            words, things = find_blobs(frames, self.num_blobs, background, generator), 0
        else:
            words, things = deepcopy(own).cpu(), own.things
        return blob_targets(frames, blob_sums(frames, words, background), things)

    def read(
        self,
        data: LatentEpisodes,
        proprio: Tensor,
        told: Told,
        frames: FrameCache,
        projection: GoalProjectionSpec,
    ) -> Read:
        """Read-outs of latents, by least squares."""
        targets, things = told.targets, told.things
        reads = Reads.of(
            data.latents,
            proprio,
            targets.blobs,
            targets.object_positions,
            frames,
            things,
        )
        objects = None
        if projection.state_dim:
            assert reads.seen is not None
            assert reads.felt is not None
            count = projection.state_dim - self.proprio
            if self.object_positions:
                objects = place_directions(data, reads.seen, count)
            else:
                objects = still_directions(data, reads.seen, projection.goal_dim, count)
        proprio_correction = None
        if self.proprio_correction and reads.felt is not None:
            mean, std = proprio_statistics(frames, self.proprio)
            proprio_correction = ProprioCorrection.of(reads.felt, mean, std, objects)
        directions = objects
        if objects is not None and reads.felt is not None:
            directions = torch.cat((objects, reads.felt.weight.to(objects)))
        return Read(
            directions, proprio_correction, reads.proprio_distance(self.goal_proprio)
        )
