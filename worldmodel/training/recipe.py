"""The whole pipeline: a dataset and a frozen encoder become a model that plans.

    1  encoder          pixels to tokens, by prediction; then frozen (`pretrain`)
    2  projector        tokens to planning latents; the proprio estimator beside it
    3  predictor        what actions do to latents
    4  goal distance    how long play would take to get there
    5  policy prior     what play did when it went there; it proposes to the search
    6  on-policy        the model plans toward pictures of play (`practice`); stages 3
       collection       to 5 learn again, from play and from what came of it

`train_world_model` is stages 2 to 5. Stage 1 is `training.pretrain.pretrain`, stage 6
`evaluation.collection`, which needs an env.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worldmodel.costs.goal_cost import GoalCost
from worldmodel.costs.learned import LearnedDistances, LearnedSpec
from worldmodel.costs.temporal import TemporalDistance
from worldmodel.data import FrameCache
from worldmodel.encoders import FrozenEncoder
from worldmodel.model import WorldModel
from worldmodel.model_spec import WorldModelSpec
from worldmodel.policy_prior import PolicyPrior, PolicyPriorSpec
from worldmodel.predictors import ActionPredictor
from worldmodel.projectors.projector import Projector
from worldmodel.training.distance import DistanceRecipe, train_distance
from worldmodel.training.latents import LatentEpisodes, joined, latent_episodes
from worldmodel.training.loop import OnStep, Schedule
from worldmodel.training.policy_prior import PolicyPriorRecipe, train_policy_prior
from worldmodel.training.predictor import PredictorRecipe, train_predictor
from worldmodel.training.projector import ProjectorRecipe, train_projector
from worldmodel.training.proprio import standardised_proprio
from worldmodel.training.proprio_estimator import (
    ProprioEstimatorRecipe,
    train_proprio_estimator,
)
from worldmodel.training.smoothing import SmoothingRecipe, smoothed
from worldmodel.training.tabletop import TabletopRecipe, Told
from worldmodel.training.tokens import TokenCache, encode_dataset

Follow = Callable[[str, int], AbstractContextManager[OnStep | None]]


def unfollowed(stage: str, steps: int) -> AbstractContextManager[None]:
    """Nobody is told of a stage's steps."""
    del stage, steps
    return nullcontext()


@dataclass(frozen=True)
class Recipe:
    """How stages 2 to 5 are done.

    Attributes:
        projector: the projector (stage 2).
        proprio_estimator: the proprio estimator beside it.
        predictor: stage 3.
        distance: stage 4.
        policy_prior: stage 5.
        smoothing: of what latents tell of objects, over an episode.
        tabletop: objectives of a scene with coloured things and a hand.
        cost: the goal cost that the model plans with.
        refine: whether the projector learns; without, it is taken as it is given.
        still: share of frames encoded as a picture that stands still, as goals are.
        practice_weight: how often each collected moment counts.
    """

    projector: ProjectorRecipe
    proprio_estimator: ProprioEstimatorRecipe
    predictor: PredictorRecipe
    distance: DistanceRecipe
    policy_prior: PolicyPriorRecipe
    smoothing: SmoothingRecipe
    tabletop: TabletopRecipe
    cost: GoalCost
    refine: bool = True
    still: float = 0.3
    practice_weight: int = 2

    def __post_init__(self) -> None:
        self.tabletop.require(self.distance.spec.projection)
        if not 0.0 <= self.still <= 1.0:
            raise ValueError(f"still must be in [0, 1], got {self.still}")
        if self.practice_weight < 1:
            raise ValueError(
                f"practice_weight must be at least 1, got {self.practice_weight}"
            )

    def spec(self, encoder: FrozenEncoder, frames: FrameCache) -> WorldModelSpec:
        """Architecture of the model that comes out."""
        projector, tabletop = self.projector.spec, self.tabletop
        projection = self.distance.spec.projection
        size = self.predictor.spec.action_size
        corrected = tabletop.proprio if tabletop.proprio_correction else 0
        estimator = None
        if corrected:
            estimator = self.proprio_estimator.spec(projector, corrected)
        return WorldModelSpec(
            encoder=encoder.spec,
            projector=projector,
            predictor=self.predictor.spec,
            action_spec=frames.spec.action_spec,
            distances=LearnedSpec(self.distance.spec, tabletop.goal_proprio),
            policy_prior=PolicyPriorSpec(projection, size, self.policy_prior.hidden),
            proprio_correction=corrected,
            proprio_estimator=estimator,
            cost=self.cost,
            proprio_dim=len(frames.spec.proprio_names),
        )


@dataclass(frozen=True)
class Run:
    """Where the stages keep what they need to go on after a kill, and who follows.

    Attributes:
        folder: of the unfinished trainings and of the tokens; must exist.
        device: computes.
        follow: called with a stage's name and steps; what it yields is called at each.
        tokens: folder of the encoded datasets, None for one in `folder`.
        on_episode: called with (episodes encoded, episodes in all).
    """

    folder: Path
    device: torch.device
    follow: Follow = unfollowed
    tokens: Path | None = None
    on_episode: Callable[[int, int], None] | None = None

    def stage(
        self, name: str, schedule: Schedule, train: Callable[[Path, OnStep | None], Any]
    ) -> Any:
        """What `train` gives, from its state file and whoever follows."""
        with self.follow(name, schedule.steps) as on_step:
            return train(self.folder / f"{name}.safetensors", on_step)


def train_world_model(
    recipe: Recipe,
    encoder: FrozenEncoder,
    frames: FrameCache,
    run: Run,
    projector: Projector | None = None,
    collected: Sequence[FrameCache] = (),
    history: Mapping[str, Any] | None = None,
) -> WorldModel:
    """Stages 2 to 5; each goes on where a killed run stopped.

    Args:
        recipe: how.
        encoder: frozen; stage 1 left it.
        frames: play, decoded.
        run: where, and who follows.
        projector: to go on from, or, where `recipe.refine` is False, to be taken.
        collected: what models collected (stage 6): stages 3 to 5 learn from it too.
        history: how the model was made, as plain JSON.

    Raises:
        WorldModelError: the dataset lacks what the recipe asks for.
    """
    tabletop, projection = recipe.tabletop, recipe.distance.spec.projection
    spec = recipe.spec(encoder, frames)
    tokens = _tokens(recipe, encoder, frames, run)
    told = tabletop.told(encoder, frames, recipe.projector.seed)

    # 2  projector, proprio estimator
    if recipe.refine:
        projector = _train_projector(recipe, tokens, told, run, projector)
    if projector is None:
        raise ValueError("refine=False takes a projector as it is, got None")
    projector = projector.to(run.device).requires_grad_(False)
    proprio = standardised_proprio(frames, tabletop.proprio)
    estimator = _train_proprio_estimator(recipe, spec, tokens, proprio, run)
    data = latent_episodes(projector, tokens)
    read = tabletop.read(data, proprio, told, frames, projection)
    data, actions = read.corrected(data, frames), _actions(frames)
    for more in collected:
        latents = latent_episodes(projector, _tokens(recipe, encoder, more, run))
        data = joined(data, read.corrected(latents, more), recipe.practice_weight)
        actions = torch.cat((actions, _actions(more)))
    data = _smoothed(recipe, data, read.directions)

    # 3  predictor, 4  goal distance, 5  policy prior
    look = read.directions
    predictor = _train_predictor(recipe, data, actions, look, run)
    distance = _train_distance(recipe, data, look, run)
    prior = _train_policy_prior(recipe, data, actions, distance, run)

    model = WorldModel(spec, history)
    model.encoder, model.projector, model.predictor = encoder, projector, predictor
    model.distances = LearnedDistances(distance, read.proprio_distance)
    model.policy_prior, model.proprio_estimator = prior, estimator
    model.proprio_correction = read.proprio_correction
    return model.cpu().requires_grad_(False).eval()


def _train_projector(
    recipe: Recipe, tokens: TokenCache, told: Told, run: Run, begin: Projector | None
) -> Projector:
    part = recipe.projector

    def train(state: Path, on_step: OnStep | None) -> Projector:
        learned = train_projector(
            part, tokens, told.targets, run.device, state, on_step, begin
        )
        return learned.projector

    return run.stage("projector", part.schedule, train)


def _train_proprio_estimator(
    recipe: Recipe, spec: WorldModelSpec, tokens: TokenCache, proprio: Tensor, run: Run
) -> Projector | None:
    part, shape = recipe.proprio_estimator, spec.proprio_estimator
    if shape is None:
        return None

    def train(state: Path, on_step: OnStep | None) -> Projector:
        return train_proprio_estimator(
            part, shape, tokens, proprio, run.device, state, on_step
        )

    return run.stage("proprio_estimator", part.schedule, train)


def _train_predictor(
    recipe: Recipe,
    data: LatentEpisodes,
    actions: Tensor,
    directions: Tensor | None,
    run: Run,
) -> ActionPredictor:
    part = recipe.predictor

    def train(state: Path, on_step: OnStep | None) -> ActionPredictor:
        return train_predictor(part, data, actions, state, on_step, directions)

    return run.stage("predictor", part.schedule, train)


def _train_distance(
    recipe: Recipe, data: LatentEpisodes, directions: Tensor | None, run: Run
) -> TemporalDistance:
    part = recipe.distance

    def train(state: Path, on_step: OnStep | None) -> TemporalDistance:
        return train_distance(part, data, state, on_step, directions)

    return run.stage("distance", part.schedule, train)


def _train_policy_prior(
    recipe: Recipe,
    data: LatentEpisodes,
    actions: Tensor,
    distance: TemporalDistance,
    run: Run,
) -> PolicyPrior:
    part = recipe.policy_prior

    def train(state: Path, on_step: OnStep | None) -> PolicyPrior:
        return train_policy_prior(part, data, actions, distance, state, on_step)

    return run.stage("policy_prior", part.schedule, train)


def _tokens(
    recipe: Recipe, encoder: FrozenEncoder, frames: FrameCache, run: Run
) -> TokenCache:
    folder = run.tokens or run.folder / "tokens"
    return encode_dataset(
        encoder, frames, folder, recipe.still, run.device, run.on_episode
    )


def _actions(frames: FrameCache) -> Tensor:
    return torch.from_numpy(np.array(frames.actions))


def _smoothed(
    recipe: Recipe, data: LatentEpisodes, directions: Tensor | None
) -> LatentEpisodes:
    """What latents tell of objects, agreed on by the moments around (hindsight)."""
    projection, smoothing = recipe.distance.spec.projection, recipe.smoothing
    if directions is None or not smoothing.alike:
        return data
    return smoothed(
        data, directions, projection.goal_dim, smoothing.alike, smoothing.within
    )
