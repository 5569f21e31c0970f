"""The proprio estimator: what the robot would feel where a picture shows it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel.projectors.projector import Projector, ProjectorSpec
from worldmodel.training.object_positions import HAND
from worldmodel.training.proprio import training_rows
from worldmodel.training.tokens import TokenCache
from worldmodel.training.updates import Job


@dataclass(frozen=True)
class ProprioEstimatorRecipe:
    """How the proprio estimator is trained.

    One read-out among many of a latent, trained beside dynamics and things, is coarser
    than a network that does nothing else. Play goes where things are, so a place that
    it seldom visits is read badly: a share of each batch is drawn evenly over where
    the hand is.

    Attributes:
        reduced: width that each patch's token keeps.
        hidden: width of the hidden layers.
        batch: moments per step.
        huber: error above which it counts linearly, in standard deviations.
        even: share of a batch that is drawn evenly over cells of space.
        cell: side of a cell, in standard deviations of the hand's place.
        least: moments in a cell from which on it counts as much as any other.
    """

    reduced: int = 32
    hidden: int = 256
    batch: int = 1024
    huber: float = 0.1
    even: float = 0.5
    cell: float = 0.5
    least: int = 150

    def __post_init__(self) -> None:
        for name in ("batch", "least"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        for name in ("huber", "cell"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if not 0.0 <= self.even <= 1.0:
            raise ValueError(f"even must be in [0, 1], got {self.even}")

    def spec(self, projector: ProjectorSpec, size: int) -> ProjectorSpec:
        """Its architecture: tokens, as the projector takes them, to (S,)."""
        return replace(projector, reduced=self.reduced, hidden=self.hidden, dim=size)


def proprio_estimator_job(
    recipe: ProprioEstimatorRecipe,
    estimator: Projector,
    cache: TokenCache,
    proprio: Tensor,
    generator: torch.Generator,
) -> Job:
    """Learns to read proprio from tokens.

    Args:
        recipe: batches.
        estimator: learns, in place.
        cache: tokens of play; only the training split is used.
        proprio: (N, S) standardised, of all rows, the hand's place first.
        generator: source of randomness.
    """
    device = next(estimator.parameters()).device
    rows = training_rows(cache.frames).nonzero().flatten()
    evenly = even_weights(proprio[rows, :HAND], recipe.cell, recipe.least).cumsum(0)
    count = round(recipe.even * recipe.batch)

    def loss() -> dict[str, Tensor]:
        drawn = torch.randint(len(rows), (recipe.batch,), generator=generator)
        spots = torch.rand(count, generator=generator, dtype=torch.float64)
        places = torch.searchsorted(evenly, spots * evenly[-1]).clamp(max=len(rows) - 1)
        drawn[:count] = places
        some = rows[drawn]
        tokens = cache.at(some).to(device).float()
        told, wanted = estimator(tokens), proprio[some].to(device)
        return {"total": F.smooth_l1_loss(told.float(), wanted, beta=recipe.huber)}

    return Job(estimator, loss)


def even_weights(places: Tensor, cell: float, least: int) -> Tensor:
    """Weights float64 (N,) by which places (N, 3) are drawn evenly over space.

    Args:
        places: (N, 3) in standard deviations.
        cell: side of a cell.
        least: a cell with fewer places weighs as much less than the others.
    """
    cells = (places / cell).floor().long()
    _, inside, counts = cells.unique(dim=0, return_inverse=True, return_counts=True)
    return 1.0 / counts.clamp(min=least)[inside].double()
