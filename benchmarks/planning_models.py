"""The model shapes that planning is measured on, as costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.models.lewm import LeWMPredictor, LeWMSpec
from benchmarks.models.packed_lewm import PackedLeWM
from planners.contract import CostFn
from worldmodel.history import Context
from worldmodel.inference.predictor import PredictorCopy
from worldmodel.model import WorldModel
from worldmodel.predictors import (
    ActionPredictor,
    ActionPredictorSpec,
    PatchPredictor,
    PatchPredictorSpec,
)
from worldmodel.predictors.patch_predictor import normalised
from worldmodel.resources import find_weights

LEWM_SIZED = ActionPredictorSpec(
    latent_dim=192,
    action_size=10,
    width=192,
    depth=6,
    heads=16,
    head_width=64,
    mlp_ratio=2048 / 192,
    window=3,
)
DINO_WM = PatchPredictorSpec(
    rows=14,
    columns=14,
    token_dim=384,
    action_size=10,
    state_size=0,
    extrinsics_size=0,
    width=384,
    depth=6,
    heads=16,
    head_width=64,
    hidden=2048,
    window=3,
)
V_JEPA_2_AC = PatchPredictorSpec()


@dataclass(frozen=True)
class Shape:
    """A model's shape with its published search.

    Attributes:
        title: name in the table.
        samples: candidates N.
        horizon: steps H.
        action_size: dimensions A of a step.
        elites: of the search.
        iterations: of the search.
        make: gives the cost of B problems on a device, in a precision.
        on_cpu: candidates measured on a CPU, where all of them would take minutes.
        rows: candidates of all problems that are imagined at once on a CPU; GPUs take
            `on_gpu` times as many.
        on_gpu: see `rows`.
    """

    title: str
    samples: int
    horizon: int
    action_size: int
    elites: int
    iterations: int
    make: Callable[[int, torch.device, torch.dtype, int], CostFn]
    on_cpu: int | None = None
    rows: int = 600
    on_gpu: int = 64


def reference(
    batch: int, device: torch.device, dtype: torch.dtype, rows: int
) -> CostFn:
    """The shipped model's own cost, each problem alone on a CPU."""
    model = WorldModel.from_pretrained(find_weights("reference")).to(device)
    model.precision = dtype
    return model_cost(model, batch, device)


def reference_together(
    batch: int, device: torch.device, dtype: torch.dtype, rows: int
) -> CostFn:
    """The same with all problems in one matrix."""
    model = WorldModel.from_pretrained(find_weights("reference")).to(device)
    model.precision, model.batch_invariant = dtype, False
    return model_cost(model, batch, device)


@torch.no_grad()
def model_cost(model: WorldModel, batch: int, device: torch.device) -> CostFn:
    """The cost of problems with random pasts and goals."""
    latents, past = _normal(batch, 3, 1, 64), _uniform(batch, 2, 5)
    context = Context(latents.to(device), past.to(device))
    return model.goal_cost(context, _normal(batch, 1, 64).to(device))


def lewm(batch: int, device: torch.device, dtype: torch.dtype, rows: int) -> CostFn:
    """LeWorldModel's exact function, with random weights."""
    packed = PackedLeWM(random_lewm().to(device), dtype)
    return _to_goal(packed.rollout, batch, device, rows, frames=1)


def lewm_sized(
    batch: int, device: torch.device, dtype: torch.dtype, rows: int
) -> CostFn:
    """Our predictor at LeWorldModel's size, cached, with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        predictor = ActionPredictor(LEWM_SIZED).requires_grad_(False).eval()
    packed = PredictorCopy(predictor.to(device), dtype)

    def rollout(latents: Tensor, past_actions: Tensor, actions: Tensor) -> Tensor:
        history = packed.history(latents, past_actions)
        return packed.rollout(latents[:, -1], history, actions)

    return _to_goal(rollout, batch, device, rows, frames=1)


def dino_wm(batch: int, device: torch.device, dtype: torch.dtype, rows: int) -> CostFn:
    """196 tokens of 384, six layers."""
    return _tokens(DINO_WM, batch, device, dtype, rows)


def v_jepa_2_ac(
    batch: int, device: torch.device, dtype: torch.dtype, rows: int
) -> CostFn:
    """256 patch tokens and two more, 24 layers of 1024."""
    return _tokens(V_JEPA_2_AC, batch, device, dtype, rows)


SHAPES = {
    "reference": Shape("reference", 64, 6, 5, 8, 3, reference),
    "reference-together": Shape(
        "reference, side by side", 64, 6, 5, 8, 3, reference_together
    ),
    "lewm": Shape("LeWM, exact function", 300, 5, 10, 30, 30, lewm),
    "lewm-sized": Shape("ours at LeWM's size", 300, 5, 10, 30, 30, lewm_sized),
    "dino-wm": Shape("DINO-WM's shape", 300, 5, 10, 30, 30, dino_wm, 16, rows=16),
    "v-jepa-2-ac": Shape(
        "V-JEPA 2-AC's shape", 800, 1, 7, 10, 10, v_jepa_2_ac, 4, rows=4, on_gpu=50
    ),
}


def random_lewm() -> LeWMPredictor:
    """LeWorldModel's predictor with weights under which actions matter."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = LeWMPredictor(LeWMSpec()).requires_grad_(False).eval()
        torch.nn.init.normal_(made.positions, std=0.5)
        for name, weight in made.named_parameters():
            if "modulation" in name:
                torch.nn.init.normal_(weight, std=0.05)
    return made


def _tokens(
    spec: PatchPredictorSpec,
    batch: int,
    device: torch.device,
    dtype: torch.dtype,
    rows: int,
) -> CostFn:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        predictor = PatchPredictor(spec).requires_grad_(False).eval()
    predictor.to(device, dtype)
    patches = spec.patches
    goal = normalised(_normal(batch, 1, patches, spec.token_dim)).to(device)
    latents = normalised(_normal(batch, 1, patches, spec.token_dim)).to(device)
    past = torch.zeros(batch, 0, spec.action_size, device=device)

    def rollout(one: slice, actions: Tensor) -> Tensor:
        horizon = actions.shape[2]
        states, planned = None, None
        if spec.state_size:
            size, (problems, count) = spec.state_size, actions.shape[:2]
            states = torch.zeros(problems, 1, size, device=device)
            planned = states.new_zeros(problems, count, horizon - 1, size)
        future = predictor.rollout(latents[one], past[one], actions, states, planned)
        return (future[:, :, -1] - goal[one]).abs().mean((-2, -1))

    return chunked(rollout, rows)


def _to_goal(
    rollout: Callable[[Tensor, Tensor, Tensor], Tensor],
    batch: int,
    device: torch.device,
    rows: int,
    frames: int,
) -> CostFn:
    latents = _normal(batch, frames, 192).to(device)
    goal = _normal(batch, 1, 192).to(device)
    past = _uniform(batch, frames - 1, 10).to(device)

    def cost(some: slice, actions: Tensor) -> Tensor:
        future = rollout(latents[some], past[some], actions)
        return (future[:, :, -1] - goal[some]).square().sum(-1)

    return chunked(cost, rows)


def chunked(cost: Callable[[slice, Tensor], Tensor], rows: int) -> CostFn:
    """As many problems at once as fit into `rows`, or a part of one's candidates."""

    @torch.no_grad()
    def _whole(actions: Tensor) -> Tensor:
        batch, samples = actions.shape[:2]
        at_once = max(1, rows // samples)
        parts = []
        for first in range(0, batch, at_once):
            some = slice(first, first + at_once)
            columns = actions[some].split(min(samples, rows), dim=1)
            parts.append(torch.cat([cost(some, part) for part in columns], dim=1))
        return torch.cat(parts)

    return _whole


def _normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def _uniform(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2 - 1
