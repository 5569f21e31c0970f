"""The two ceilings: the planner on the true simulator, and the latent cost on it."""

from __future__ import annotations

from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from envs.rollouts import SimulatorThreads
from envs.tabletop import TabletopEnv
from planners.mpc import MPC
from worldmodel.commands.bench import Job
from worldmodel.commands.control import Control
from worldmodel.commands.instantiate import instantiate
from worldmodel.errors import OptionError
from worldmodel.evaluation.privileged import SimulatorPolicy
from worldmodel.evaluation.results import Method
from worldmodel.evaluation.shaped_cost import task_shape
from worldmodel.evaluation.simulator_cost import RenderedLatentCost, ShapedCost
from worldmodel.model import WorldModel

MOST_PROBLEMS = 50
SHAPED = "simulator, shaped cost"
LATENT = "simulator, latent cost"
_CLIPS_AT_ONCE = 64


def check_ceilings(config: DictConfig) -> None:
    """Refuses bad ceiling options before anything has run."""
    most = min(MOST_PROBLEMS, config.n)
    if not 0 <= config.ceilings <= most:
        raise OptionError(f"ceilings must be in [0, {most}], got {config.ceilings}")
    if config.workers < 1:
        raise OptionError(f"workers must be at least 1, got {config.workers}")
    instantiate(config.shaped_ceiling)
    instantiate(config.latent_ceiling)


def check_ceiling_model(config: DictConfig, control: Control) -> None:
    """Refuses a model whose cost the simulator cannot measure."""
    if config.ceilings and not isinstance(control.model, WorldModel):
        raise OptionError(
            f"ceilings must be 0 for model={config.model}, which predicts patch "
            f"tokens: its cost is not measured with the simulator; got "
            f"{config.ceilings}"
        )


def ceiling_jobs(config: DictConfig, control: Control, env: TabletopEnv) -> list[Job]:
    """Gives the jobs of both ceilings."""
    simulator = SimulatorThreads(config.workers)
    return [
        _shaped(config.shaped_ceiling, simulator, env),
        _latent(config.latent_ceiling, simulator, env, control),
    ]


def _shaped(node: DictConfig, simulator: SimulatorThreads, env: TabletopEnv) -> Job:
    mpc: MPC = instantiate(node)
    cost = ShapedCost(simulator, task_shape(env.task.name))

    def policy() -> SimulatorPolicy:
        return SimulatorPolicy(mpc, cost.cost, _action_size(env))

    return Job("shaped", Method(SHAPED, "ceiling", _plain(node)), policy)


def _latent(
    node: DictConfig, simulator: SimulatorThreads, env: TabletopEnv, control: Control
) -> Job:
    mpc: MPC = instantiate(node)
    model = control.model
    assert isinstance(model, WorldModel)  # see `check_ceiling_model`

    def encode(frames: Tensor) -> Tensor:
        parts = [
            model.encode_newest(clips.to(control.device))
            for clips in frames.split(_CLIPS_AT_ONCE)
        ]
        return torch.cat(parts)[:, None]  # (B, 1, P, D): only the last frame's

    def distance(futures: Tensor, goals: Tensor, starts: Tensor) -> Tensor:
        last = futures[:, :, -1]  # (B, N, P, D)
        cost, learned = model.spec.cost, model.distances
        moves = cost.moves(starts[:, None], goals, learned)
        if moves is not None:
            moves = moves[:, None]
        return cost.distance(last, goals[:, None], learned, moves)

    def policy() -> SimulatorPolicy:
        cost = RenderedLatentCost(
            simulator, env.render_goal, encode, distance, model.tubelet
        )
        return SimulatorPolicy(mpc, cost.cost, _action_size(env))

    method = Method(LATENT, "ceiling", _plain(node), control.model_hash)
    return Job("latent", method, policy)


def _action_size(env: TabletopEnv) -> int:
    assert env.action_space.shape is not None
    return env.action_space.shape[0]


def _plain(node: DictConfig) -> dict[str, Any]:
    values = OmegaConf.to_container(node, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}
