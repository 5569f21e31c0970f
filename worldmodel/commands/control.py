"""What evaluate, plan and demo share: a model, and a planner that controls with it."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from envs.tasks import TASKS, find_task
from envs.variation import SceneOptions
from planners.graphs import require_recordable
from planners.mpc import MPC
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.checkpoints.world_models import kind_of, own_tensors
from worldmodel.commands.devices import choose_device, choose_precision
from worldmodel.commands.instantiate import instantiate
from worldmodel.commands.limits import require_whole
from worldmodel.errors import OptionError
from worldmodel.evaluation.arena import Arena, TabletopArena
from worldmodel.evaluation.environment import make_env
from worldmodel.evaluation.frame_bank import FrameBank, encode_bank, load_bank
from worldmodel.evaluation.planning_model import PlanningModel
from worldmodel.evaluation.world_model_policy import NO_PRIOR, WorldModelPolicy
from worldmodel.memory import moved, require_memory
from worldmodel.model import WorldModel
from worldmodel.predictors import pose
from worldmodel.resources import find_weights
from worldmodel.vjepa2_ac.world_model import PatchWorldModel, PatchWorldModelSpec

BANK_FILE = "bank.npz"  # beside the weights: real frames that show what is imagined
ALL_TASKS = "all"
MOST_CANDIDATES = 1_000_000  # that are imagined at once
MORE = (
    "take a smaller chunk= or group=, a shorter horizon=, precision=bfloat16, or a "
    "device with more"
)
_MPC_OPTIONS = (
    "horizon",
    "execute",
    "warm_std",
    "min_improvement",
    "proposals",
    "proposal_std",
    "hold",
)


@dataclass(frozen=True)
class Control:
    """A world model with planner, horizon and cost.

    Attributes:
        model: On its device, with the cost that is planned with.
        mpc: Planner, horizon and steps executed per plan.
        device: Where the model computes.
        model_hash: Hash of the weights.
        settings: Planner, horizon and cost as plain JSON.
        bank: Real frames with their latents, None where none ship with the model.
        cuda_graphs: Whether plans are recorded as CUDA graphs.
        search: Whether actions are searched for; without, the policy prior acts.
    """

    model: WorldModel | PatchWorldModel
    mpc: MPC
    device: torch.device
    model_hash: str
    settings: dict[str, Any]
    bank: FrameBank | None
    cuda_graphs: bool = False
    search: bool = True

    @property
    def method(self) -> str:
        """What chooses actions, for tables."""
        return type(self.mpc.planner).__name__ if self.search else "policy prior"

    def arena(self, task: str, scene: SceneOptions | None = None) -> TabletopArena:
        """Makes a task's environment at the image size of the model."""
        size = self.model.height, self.model.width
        return TabletopArena(make_env(task, *size, scene))

    def policy(self, arena: Arena) -> WorldModelPolicy:
        """Makes a policy; refuses an env whose actions mean something else."""
        return WorldModelPolicy(
            self.model,
            self.mpc,
            arena.action_spec,
            self.device,
            self.cuda_graphs,
            arena.idle,
            self.search,
        )


def load_control(config: DictConfig) -> Control:
    """Reads the model and makes the planner that a config names.

    Raises:
        WorldModelError: An option is refused, or the checkpoint is missing or damaged.
    """
    mpc, device = _mpc(config), choose_device(config.device)
    graphs = _records(config, mpc, device)
    path = find_weights(config.model)
    if kind_of(path) == PatchWorldModelSpec.kind:
        model, mpc = _patches(config, path, mpc)
    else:
        model, mpc = _latents(config, path, mpc)
    if not config.search and getattr(model, "policy_prior", None) is None:
        raise OptionError(NO_PRIOR)
    model_hash = weights_hash(own_tensors(model))
    model.precision = choose_precision(config.precision, device)
    moved(model, device, f"model={config.model}", MORE)
    poses = 0
    if isinstance(model, PatchWorldModel):
        _require_room(config, model, mpc, device)
        poses = pose.SIZE
    model.batch_invariant = config.batch_invariant
    warm_up(model, mpc if config.search else None, device, poses)
    return Control(
        model=model,
        mpc=mpc,
        device=device,
        model_hash=model_hash,
        settings=_settings(config, model, mpc),
        bank=_bank(path, model, device),
        cuda_graphs=graphs,
        search=config.search,
    )


def _require_room(
    config: DictConfig, model: PatchWorldModel, mpc: MPC, device: torch.device
) -> None:
    """Raises NotEnoughMemoryError where plans in patch tokens would not fit."""
    candidates, group = getattr(mpc.planner, "samples", sys.maxsize), 1
    if "group" in config:  # problems that evaluate plans side by side
        group = min(config.group, config.n)
    needed = model.planning_bytes(candidates, mpc.horizon, group)
    require_memory("imagining candidates", needed, device, MORE)


def _latents(config: DictConfig, path: Path, mpc: MPC) -> tuple[WorldModel, MPC]:
    """A model that plans in latents, with the cost that is wanted."""
    if config.chunk is not None:
        raise OptionError(
            f"chunk is for models of patch tokens, model={config.model} plans in "
            "latents: leave it out"
        )
    model = WorldModel.from_pretrained(path, config.encoder)
    if "_target_" in config.cost:
        model.spec = replace(model.spec, cost=instantiate(config.cost))
    cost = model.spec.cost
    try:
        if config.min_improvement is None:
            mpc = replace(mpc, min_improvement=cost.min_improvement)
        mpc.require_room(mpc.proposals if model.policy_prior is not None else 0)
        cost.require(model.distances)
    except ValueError as error:
        raise OptionError(str(error)) from error
    return model, mpc


def _patches(config: DictConfig, path: Path, mpc: MPC) -> tuple[PatchWorldModel, MPC]:
    """A model that plans in patch tokens, whose distance is its only cost."""
    if "_target_" in config.cost:
        raise OptionError(
            f"cost must be model: {path} predicts patch tokens, and knows no other "
            "cost than their distance; leave cost= out"
        )
    try:
        mpc.require_room(0)
    except ValueError as error:
        raise OptionError(str(error)) from error
    model = PatchWorldModel.from_pretrained(path, config.encoder)
    if config.chunk is not None:
        require_whole(config, "chunk", 1, MOST_CANDIDATES)
        model.chunk = config.chunk
    return model, mpc


def chosen_tasks(name: str) -> list[str]:
    """Gives the tasks that `task=` names, all of them for "all"."""
    if name == ALL_TASKS:
        return list(TASKS)
    try:
        return [find_task(name).name]
    except ValueError as error:
        raise OptionError(f"{error}; or {ALL_TASKS}") from error


@torch.no_grad()
def warm_up(
    model: PlanningModel, mpc: MPC | None, device: torch.device, poses: int
) -> None:
    """Makes a plan that nobody executes.

    What is prepared once (packed weights, kernels for these shapes) is then not part of
    the first action.

    Args:
        model: Plans.
        mpc: Plans with it; None where the policy prior acts.
        device: Where the model is.
        poses: Numbers of proprio that it cannot plan without; 0 for none.
    """
    shape = (1, 1, model.height, model.width, 3)
    goal = model.encode_newest(torch.zeros(shape, dtype=torch.uint8, device=device))
    felt = goal.new_zeros(1, poses) if poses else None
    past, size = model.remember(None, None, goal, felt), model.action_spec.step_size
    prior = model.proposals(past, goal)
    if mpc is not None:
        begin = mpc.start(torch.zeros(1, dtype=torch.int64, device=device), size)
        mpc.step(model.goal_cost(past, goal), begin, prior)
    elif prior is not None:
        prior(goal.new_zeros(1, 1, 1, size))
        prior.arrived()


def _records(config: DictConfig, mpc: MPC, device: torch.device) -> bool:
    """Whether plans are recorded: as wanted, by default wherever they can be."""
    wanted = config.cuda_graphs
    if wanted not in (None, True, False):
        raise OptionError(f"cuda_graphs must be true, false or null, got {wanted}")
    if wanted is False or (wanted is None and device.type != "cuda"):
        return False
    if not config.search:
        if wanted:
            raise OptionError(
                "cuda_graphs=true records searches, search=false makes none; leave one "
                "of them out"
            )
        return False
    if device.type != "cuda":
        raise OptionError(
            f"cuda_graphs=true needs a GPU, the device is {device.type}; leave it out"
        )
    try:
        require_recordable(mpc.planner)
    except ValueError as error:
        if wanted:
            raise OptionError(str(error)) from error
        print(f"plans are not recorded as CUDA graphs: {error}", file=sys.stderr)
        return False
    return True


def _mpc(config: DictConfig) -> MPC:
    """The controller; what the config leaves to the cost is 0 yet."""
    instantiate(config.planner)  # alone first: its errors then name the option
    node = {name: config[name] for name in _MPC_OPTIONS}
    if config.min_improvement is None:
        node["min_improvement"] = 0.0
    node |= {"_target_": "planners.MPC", "planner": config.planner}
    node["penalties"] = config.penalties
    return instantiate(OmegaConf.create(node))


def _settings(
    config: DictConfig, model: WorldModel | PatchWorldModel, mpc: MPC
) -> dict[str, Any]:
    cost: dict[str, Any] = {"tokens": "mean absolute difference"}
    if isinstance(model, WorldModel):
        cost = dict(vars(model.spec.cost))
    return {
        "search": config.search,
        "planner": _container(config.planner),
        "penalties": _container(config.penalties),
        **{name: getattr(mpc, name) for name in _MPC_OPTIONS},
        "cost": cost,
        "precision": str(model.precision).removeprefix("torch."),
        "batch_invariant": model.batch_invariant,
    }


def _container(node: DictConfig) -> Any:
    return _plain(OmegaConf.to_container(node, resolve=True))


def _plain(value: Any) -> Any:
    """JSON values, which know no infinite numbers: these as a text."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _bank(
    path: Path, model: WorldModel | PatchWorldModel, device: torch.device
) -> FrameBank | None:
    file = path / BANK_FILE
    if not file.is_file() or not isinstance(model, WorldModel):
        return None
    return encode_bank(load_bank(file), lambda frames: model.encode(frames.to(device)))
