"""Stages 3 to 5: predictor, goal distance and policy prior learn side by side."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from worldmodel.costs.distances import TemporalDistance
from worldmodel.costs.goal_projection import GoalProjectionSpec
from worldmodel.policy_prior import PolicyPrior
from worldmodel.predictors import ActionPredictor
from worldmodel.training.distance import DistanceLearner, DistanceRecipe, distance_job
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.loop import Schedule, Training, fit
from worldmodel.training.policy_prior import PolicyPriorRecipe, policy_prior_job
from worldmodel.training.predictor import PredictorRecipe, predictor_job


@dataclass(frozen=True)
class PlanningRecipe:
    """How what plans on frozen latents is trained, in one optimisation.

    Attributes:
        schedule: steps and learning rate, of all three.
        predictor: stage 3.
        distance: stage 4.
        policy_prior: stage 5; it is told by the distance which actions gained.
        predictors: how many are trained, from other weights and on other batches.
    """

    schedule: Schedule
    predictor: PredictorRecipe = field(default_factory=PredictorRecipe)
    distance: DistanceRecipe = field(default_factory=DistanceRecipe)
    policy_prior: PolicyPriorRecipe = field(default_factory=PolicyPriorRecipe)
    predictors: int = 1

    def __post_init__(self) -> None:
        if self.predictors < 1:
            raise ValueError(f"predictors must be at least 1, got {self.predictors}")


@dataclass(frozen=True, eq=False)
class PlanningParts:
    """What plans on frozen latents."""

    predictors: tuple[ActionPredictor, ...]
    distance: TemporalDistance
    policy_prior: PolicyPrior


def train_planning(
    recipe: PlanningRecipe,
    data: LatentEpisodes,
    actions: Tensor,
    training: Training,
    projection: GoalProjectionSpec | None = None,
    directions: Tensor | None = None,
) -> PlanningParts:
    """Learns what actions lead to, how far goals are, and what to try first.

    Args:
        recipe: how.
        data: latents of the training episodes; they stay as they are.
        actions: (N, A) of all rows.
        training: how long, by which random numbers, and who keeps and watches it.
        projection: what distance and policy prior look at; None for the whole latent.
        directions: (projection.state_dim, D) that these look at; None with the whole.

    Raises:
        WorldModelError: no episode is as long as `predictor.window`.
    """
    generator = training.generator
    device, dim, size = data.latents.device, data.latents.shape[1], actions.shape[1]
    data = data.to(device)
    look = projection or GoalProjectionSpec(dim)
    architecture = recipe.predictor.spec(dim, size)
    predictors = [
        ActionPredictor(architecture).to(device) for _ in range(recipe.predictors)
    ]
    learner = DistanceLearner(recipe.distance.spec(look), directions).to(device)
    prior = PolicyPrior(recipe.policy_prior.spec(look, size)).to(device)
    names = ["predictor", *(f"predictor_{i + 2}" for i in range(recipe.predictors - 1))]
    jobs = {
        name: predictor_job(recipe.predictor, predictor, data, actions, generator)
        for name, predictor in zip(names, predictors, strict=True)
    }
    jobs |= {
        "distance": distance_job(recipe.distance, learner, data, generator),
        "policy_prior": policy_prior_job(
            recipe.policy_prior, prior, data, actions, learner.online, generator
        ),
    }
    fit(jobs, training)
    return PlanningParts(tuple(predictors), learner.online, prior)
