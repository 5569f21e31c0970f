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

from worldmodel.costs.goal_projection import LookSpec
from worldmodel.costs.read import ReadDistance
from worldmodel.data import FrameCache
from worldmodel.encoders import FrozenEncoder
from worldmodel.errors import WorldModelError
from worldmodel.projectors.proprio_correction import Anchor
from worldmodel.training.blobs import find_words, word_sums, word_targets
from worldmodel.training.latents import LatentEpisodes, anchored
from worldmodel.training.object_positions import HAND, place_targets
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
        anchor: corrects latents by measured proprio, or None.
        felt_distance: compares the robot's pose, or None.
    """

    directions: Tensor | None
    anchor: Anchor | None
    felt_distance: ReadDistance | None

    def corrected(self, data: LatentEpisodes, frames: FrameCache) -> LatentEpisodes:
        """Latents of a dataset, corrected by its proprio."""
        return data if self.anchor is None else anchored(data, self.anchor, frames)


@dataclass(frozen=True)
class TabletopRecipe:
    """Which of a tabletop's own objectives are on.

    Attributes:
        words: colour blobs, things among them, whose places latents tell; 0 for none.
        places: whether latents tell where things are in the hand's coordinates,
            learned from what the hand held; the first three numbers of proprio are its
            place.
        proprio: leading dimensions of proprio that latents tell; 0 for none.
        felt: leading dimensions of these that a goal cost may compare; 0 for none.
        anchor: whether latents are corrected by the proprio measured with them.
    """

    words: int = 0
    places: bool = False
    proprio: int = 0
    felt: int = 0
    anchor: bool = False

    def __post_init__(self) -> None:
        for name in ("words", "proprio"):
            if getattr(self, name) < 0:
                raise ValueError(
                    f"{name} must be at least 0, got {getattr(self, name)}"
                )
        if not 0 <= self.felt <= self.proprio:
            raise ValueError(
                f"felt must be in [0, proprio={self.proprio}], got {self.felt}"
            )
        if self.anchor and not self.proprio:
            raise ValueError("anchor needs proprio above 0, got 0; or set it to false")

    def require(self, look: LookSpec) -> None:
        """Raises ValueError unless what is looked at in a latent can be read from it."""
        if not look.read:
            return
        if not (self.proprio and self.words):
            raise ValueError(
                "distance.spec.look.read needs proprio and words above 0, got "
                f"{self.proprio} and {self.words}; or set it to 0"
            )
        most = self.proprio + 2 * self.words
        if not self.proprio < look.read <= most:
            raise ValueError(
                f"distance.spec.look.read must be 0 or in [{self.proprio + 1}, {most}]: "
                f"all of proprio={self.proprio}, and some directions that say where "
                f"things are; got {look.read}"
            )
        told = look.read - self.proprio
        if not 1 <= look.aim <= told:
            raise ValueError(
                f"distance.spec.look.aim must be in [1, {told}], the directions that "
                f"say where things are, got {look.aim}"
            )

    def require_encoder(self, encoder: FrozenEncoder, look: LookSpec) -> None:
        """Raises WorldModelError unless the encoder knows what latents shall tell."""
        own, things = encoder.spec.places, encoder.spec.things
        if own and self.words not in (0, own):
            raise WorldModelError(
                f"words must be {own}, as the encoder has, or 0, got {self.words}"
            )
        if not self.places:
            return
        if not (self.words and things and self.proprio >= HAND):
            raise WorldModelError(
                f"places needs an encoder that knows things, words above 0 and at least "
                f"{HAND} dimensions of proprio, the hand's place; got {things} things, "
                f"words={self.words} and proprio={self.proprio}; or set it to false"
            )
        if look.read and not look.aim == 3 * things <= look.read - self.proprio:
            raise WorldModelError(
                f"distance.spec.look.aim must be {3 * things}, the places of things in "
                f"the hand's coordinates, and read at least {self.proprio} more, got "
                f"{look.aim} and {look.read}"
            )

    def told(self, encoder: FrozenEncoder, frames: FrameCache, seed: int) -> Told:
        """What latents shall tell of every frame."""
        words = self._words(encoder, frames, seed)
        things = encoder.spec.things
        places = place_targets(frames, words, things if self.places else 0)
        return Told(Targets(words, places), things)

    def _words(self, encoder: FrozenEncoder, frames: FrameCache, seed: int) -> Tensor:
        """Where the encoder's colour blobs are, or others where it has none."""
        if not self.words:
            return torch.zeros(len(frames.frames), 0, 4)
        usual, own = encoder.encoder.usual.cpu(), encoder.encoder.words
        if own is None:
            generator = torch.Generator().manual_seed(seed)
            words, things = find_words(frames, self.words, usual, generator), 0
        else:
            words, things = deepcopy(own).cpu(), own.things
        return word_targets(frames, word_sums(frames, words, usual), things)

    def read(
        self,
        data: LatentEpisodes,
        proprio: Tensor,
        told: Told,
        frames: FrameCache,
        look: LookSpec,
    ) -> Read:
        """Read-outs of latents, by least squares."""
        targets, things = told.targets, told.things
        reads = Reads.of(
            data.latents, proprio, targets.words, targets.places, frames, things
        )
        objects = None
        if look.read:
            assert reads.seen is not None
            assert reads.felt is not None
            count = look.read - self.proprio
            if self.places:
                objects = place_directions(data, reads.seen, count)
            else:
                objects = still_directions(data, reads.seen, look.aim, count)
        anchor = None
        if self.anchor and reads.felt is not None:
            mean, std = proprio_statistics(frames, self.proprio)
            anchor = Anchor.of(reads.felt, mean, std, objects)
        directions = objects
        if objects is not None and reads.felt is not None:
            directions = torch.cat((objects, reads.felt.weight.to(objects)))
        return Read(directions, anchor, reads.felt_distance(self.felt))
