"""A world model that is small, untrained and saved: everything but skill."""

from __future__ import annotations

from pathlib import Path

import torch

from envs.simulation import ACTION_SPEC
from worldmodel.action_spec import ActionSpec
from worldmodel.costs.goal_projection import GoalProjectionSpec
from worldmodel.encoders import VideoViTSpec
from worldmodel.model import WorldModel
from worldmodel.model_spec import WorldModelSpec
from worldmodel.policy_prior import PolicyPriorSpec
from worldmodel.predictors import ActionPredictorSpec
from worldmodel.projectors.projector import ProjectorSpec

SIDE = 32  # [px]
# Options that make planning as cheap as it can be.
QUICK = ["planner.samples=4", "planner.elites=2", "planner.iterations=1", "horizon=2"]
QUICK += ["execute=2", "device=cpu", "min_improvement=0"]


def save_tiny_model(
    folder: Path, action_spec: ActionSpec | None = None, policy_prior: bool = False
) -> Path:
    """Saves the model and gives its folder."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = WorldModel(tiny_spec(action_spec, policy_prior))
    model.save_pretrained(folder, "# Tiny\n")
    return folder


def tiny_spec(
    action_spec: ActionSpec | None = None,
    policy_prior: bool = False,
    proprio_dim: int = 0,
) -> WorldModelSpec:
    """Gives the architecture."""
    actions = action_spec or ActionSpec.from_json(ACTION_SPEC)
    size = actions.step_size  # of a model step
    return WorldModelSpec(
        encoder=VideoViTSpec(SIDE, SIDE, patch=16, dim=16, depth=1, heads=2),
        projector=ProjectorSpec(patches=4, token_dim=16, hidden=8, dim=8),
        predictor=ActionPredictorSpec(
            latent_dim=8, action_size=size, width=16, depth=1
        ),
        action_spec=actions,
        policy_prior=PolicyPriorSpec(GoalProjectionSpec(latent_dim=8), hidden=8)
        if policy_prior
        else None,
        proprio_correction=3 if policy_prior else 0,
        proprio_dim=proprio_dim,
    )
