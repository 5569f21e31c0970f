"""The whole pipeline: a dataset and a frozen encoder become a model that plans.

    1  encoder          pixels to tokens, by prediction; then frozen (`pretrain`)
    2  projector        tokens to planning latents; the proprio estimator beside it
    3  predictor        what actions do to latents
    4  goal distance    how long play would take to get there
    5  policy prior     what play did when it went there; it proposes to the search
    6  on-policy        the model plans toward pictures of play (`practice`); stages 3
       collection       to 5 learn again, from play and from what came of it

Each stage is one optimisation, and stages 3 to 5 share theirs. `train_world_model` is
stages 2 to 5. Stage 1 is `training.jepa.train_jepa`, stage 6 `evaluation.collection`,
which needs an env.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from worldmodel.costs.distances import (
    LatentDistance,
    LearnedDistances,
    LearnedSpec,
)
from worldmodel.costs.goal_cost import GoalCost
from worldmodel.data import FrameCache
from worldmodel.encoders import FrozenEncoder
from worldmodel.model import WorldModel
from worldmodel.model_spec import WorldModelSpec
from worldmodel.projectors.projector import Projector, ProjectorSpec
from worldmodel.training.latents import joined, latent_episodes, one_step
from worldmodel.training.loop import OnStep, Schedule, Training, fit
from worldmodel.training.objectives.projection import ProjectorObjectives
from worldmodel.training.planning import PlanningRecipe, train_planning
from worldmodel.training.projector import ProjectorRecipe, Targets, projector_job
from worldmodel.training.proprio_estimator import proprio_estimator_job
from worldmodel.training.surprise import measure_errors
from worldmodel.training.tabletop import TabletopRecipe
from worldmodel.training.tokens import TokenCache, encode_dataset

MOST_WEIGHT = 1_000  # of what was collected, beside play
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
        planning: predictor, goal distance and policy prior (stages 3 to 5).
        tabletop: objectives of a scene with coloured things and a hand.
        cost: the goal cost that the model plans with.
        still: share of frames encoded as a picture that stands still, as goals are.
        practice_weight: how often each collected moment counts.
        seed: decides weights and batches.
    """

    projector: ProjectorRecipe
    planning: PlanningRecipe
    tabletop: TabletopRecipe = field(default_factory=TabletopRecipe)
    cost: GoalCost = field(default_factory=lambda: GoalCost(latent=0.0, temporal=1.0))
    still: float = 0.3
    practice_weight: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.still <= 1.0:
            raise ValueError(f"still must be in [0, 1], got {self.still}")
        weight = self.practice_weight
        is_whole = isinstance(weight, int) and not isinstance(weight, bool)
        if not is_whole or not 1 <= weight <= MOST_WEIGHT:
            raise ValueError(
                f"practice_weight must be a whole number in [1, {MOST_WEIGHT}], got "
                f"{weight}"
            )

    def spec(self, encoder: FrozenEncoder, frames: FrameCache) -> WorldModelSpec:
        """Architecture of the model that comes out."""
        tabletop, dim = self.tabletop, self.projector.dim
        size = frames.actions.shape[1]
        projector = ProjectorSpec.of(encoder.spec, dim)
        self.projector.weights.require_telling(tabletop.told(encoder.spec, size))
        look = tabletop.projection(encoder.spec, dim)
        distance = self.planning.distance.spec(look)
        return WorldModelSpec(
            encoder=encoder.spec,
            projector=projector,
            predictor=self.planning.predictor.spec(dim, size),
            action_spec=frames.spec.action_spec,
            distances=LearnedSpec(distance, tabletop.goal_proprio, latent=True),
            policy_prior=self.planning.policy_prior.spec(look, size),
            proprio_correction=tabletop.proprio * tabletop.proprio_correction,
            proprio_estimator=tabletop.estimator_spec(projector),
            cost=self.cost,
            proprio_dim=len(frames.spec.proprio_names),
            predictors=self.planning.predictors,
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
        kept: as what tokens are kept, one of `tokens.KEPT`.
    """

    folder: Path
    device: torch.device
    follow: Follow = unfollowed
    tokens: Path | None = None
    on_episode: Callable[[int, int], None] | None = None
    kept: str = "float16"

    def encoded(
        self, encoder: FrozenEncoder, frames: FrameCache, still: float
    ) -> TokenCache:
        """The tokens of a dataset, encoded first where nobody has."""
        folder = self.tokens or self.folder / "tokens"
        return encode_dataset(
            encoder, frames, folder, still, self.device, self.on_episode, self.kept
        )

    @contextmanager
    def training(self, stage: str, schedule: Schedule, seed: int) -> Iterator[Training]:
        """A stage's optimisation, from its state file and with whoever follows."""
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        with self.follow(stage, schedule.steps) as on_step:
            state = self.folder / f"{stage}.safetensors"
            yield Training(schedule, generator, state, on_step)


@dataclass(frozen=True, eq=False)
class Projectors:
    """What stage 2 makes.

    Attributes:
        projector: tokens to planning latents.
        estimator: tokens to the proprio that a picture shows, or None.
    """

    projector: Projector
    estimator: Projector | None = None


def train_world_model(
    recipe: Recipe,
    encoder: FrozenEncoder,
    frames: FrameCache,
    run: Run,
    given: Projectors | None = None,
    collected: Sequence[FrameCache] = (),
    history: Mapping[str, Any] | None = None,
) -> WorldModel:
    """Stages 2 to 5; each goes on where a killed run stopped.

    Args:
        recipe: how.
        encoder: frozen; stage 1 left it.
        frames: play, decoded.
        run: where, and who follows.
        given: what stage 2 made before, of this encoder; None to train it.
        collected: what models collected (stage 6): stages 3 to 5 learn from it too.
        history: how the model was made, as plain JSON.

    Raises:
        WorldModelError: the dataset lacks what the recipe asks for.
    """
    spec, tabletop = recipe.spec(encoder, frames), recipe.tabletop
    tokens = run.encoded(encoder, frames, recipe.still)
    targets = tabletop.targets(encoder, frames)

    # 2  projector, proprio estimator
    made = given or train_projectors(recipe, spec, tokens, targets, run)
    projector = made.projector.to(run.device).requires_grad_(False)
    data, actions = latent_episodes(projector, tokens), _actions(frames)
    readouts = tabletop.readouts(data, targets, frames)
    data = readouts.corrected(data, frames)
    for more in collected:
        found = latent_episodes(projector, run.encoded(encoder, more, recipe.still))
        data = joined(data, readouts.corrected(found, more), recipe.practice_weight)
        actions = torch.cat((actions, _actions(more)))

    # 3  predictor, 4  goal distance, 5  policy prior
    part, look = recipe.planning, tabletop.projection(encoder.spec, spec.projector.dim)
    with run.training("planning", part.schedule, recipe.seed) as training:
        parts = train_planning(part, data, actions, training, look, readouts.directions)

    model = WorldModel(spec, history)
    model.encoder, model.projector = encoder, projector
    model.proprio_estimator = made.estimator
    model.proprio_correction = readouts.proprio_correction
    model.predictor, *others = parts.predictors
    model.other_predictors = nn.ModuleList(others)
    model.policy_prior = parts.policy_prior
    model.distances = LearnedDistances(
        parts.distance, readouts.proprio_distance, LatentDistance(one_step(data))
    )
    model.to(run.device).requires_grad_(False).eval()
    measure_errors(model, frames)
    return model.cpu()


def train_projectors(
    recipe: Recipe, spec: WorldModelSpec, tokens: TokenCache, targets: Targets, run: Run
) -> Projectors:
    """Stage 2, from nothing."""
    told = recipe.tabletop.told(spec.encoder, spec.predictor.action_size)
    part, estimator = recipe.projector, None
    with run.training("projector", part.schedule, recipe.seed) as training:
        generator = training.generator
        model = ProjectorObjectives(spec.projector, part.weights, told).to(run.device)
        jobs = {"projector": projector_job(part, model, tokens, targets, generator)}
        if spec.proprio_estimator is not None:
            estimator = Projector(spec.proprio_estimator).to(run.device)
            jobs["proprio_estimator"] = proprio_estimator_job(
                recipe.tabletop.proprio_estimator,
                estimator,
                tokens,
                targets.proprio,
                generator,
            )
        fit(jobs, training)
    return Projectors(model.projector, estimator)


def _actions(frames: FrameCache) -> Tensor:
    return torch.from_numpy(np.array(frames.actions))
