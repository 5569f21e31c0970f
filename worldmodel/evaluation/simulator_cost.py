"""The true simulator as a planner's cost: the two ceilings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from envs.rollouts import SimulatorThreads
from envs.simulation import Quantities, Simulation
from planners.contract import CostFn
from worldmodel.errors import WorldModelError
from worldmodel.evaluation.shaped_cost import Shape

Render = Callable[[np.ndarray], np.ndarray]
"""The image uint8 (height, width, 3) of a state (n,)."""
Encode = Callable[[Tensor], Tensor]
"""Latents (B, T, P, D) of frames uint8 (B, T, height, width, 3)."""
LatentDistance = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Costs (B, N) of futures (B, N, T, P, D) given goals (B, P, D) and what episodes
began with (B, P, D)."""


@dataclass(frozen=True)
class ShapedCost:
    """The simulator with a shaped true cost: is the task solvable by this planner?

    The cost of a sequence is the mean shaped distance over its steps plus that of its
    last step [m].

    Attributes:
        simulator: Simulates.
        shape: Shaped distance of one moment from the goal.
    """

    simulator: SimulatorThreads
    shape: Shape
    _simulation: Simulation = field(default_factory=Simulation, repr=False)

    def cost(
        self,
        states: np.ndarray,
        goals: np.ndarray,
        goal_images: np.ndarray,
        starts: np.ndarray,
    ) -> CostFn:
        """Gives the cost of sequences from true states (B, n) to goals (B, n)."""
        del goal_images, starts

        def evaluate(actions: Tensor) -> Tensor:
            futures = _futures(self.simulator, states, actions)
            return torch.from_numpy(self.of_futures(futures, goals)).to(actions)

        return evaluate

    def of_futures(self, futures: np.ndarray, goals: np.ndarray) -> np.ndarray:
        """Gives the cost (B, N) of states (B, N, H, n) toward goals (B, n)."""
        targets = [self._quantities(goal) for goal in goals]
        values = np.empty(futures.shape[:3])
        for b, n, h in np.ndindex(values.shape):
            now = self._quantities(futures[b, n, h])
            values[b, n, h] = self.shape(now, targets[b])
        return values.mean(axis=2) + values[:, :, -1]

    def _quantities(self, state: np.ndarray) -> Quantities:
        self._simulation.set_state(state)
        return self._simulation.quantities()


@dataclass(frozen=True)
class RenderedLatentCost:
    """The simulator with the latent cost on rendered futures.

    What is lost against `ShapedCost` is lost by the representation, not by imagination.

    Attributes:
        simulator: Simulates.
        render: Renders a state, in this process.
        encode: The world model's encoder.
        distance: Distance of latents from the goal's, given those of the start.
        last: How many of the last states of a sequence are rendered and encoded as
            one clip; at least the encoder's tubelet.
    """

    simulator: SimulatorThreads
    render: Render
    encode: Encode
    distance: LatentDistance
    last: int = 2

    def __post_init__(self) -> None:
        if self.last < 1:
            raise WorldModelError(f"last must be at least 1, got {self.last}")

    def cost(
        self,
        states: np.ndarray,
        goals: np.ndarray,
        goal_images: np.ndarray,
        starts: np.ndarray,
    ) -> CostFn:
        """Gives the cost of sequences toward goal images (B, height, width, 3).

        `starts` (B, n) are the states that episodes began with.
        """
        del goals
        first = np.stack([self.render(state) for state in starts])
        with torch.no_grad():
            goal = self.encode(torch.from_numpy(goal_images)[:, None])[:, 0]
            began = self.encode(torch.from_numpy(first)[:, None])[:, 0]

        @torch.no_grad()
        def evaluate(actions: Tensor) -> Tensor:
            futures = _futures(self.simulator, states, actions)
            seen = futures[:, :, -self.last :]  # (B, N, T, n)
            images = [self.render(state) for state in seen.reshape(-1, seen.shape[-1])]
            frames = torch.from_numpy(np.stack(images))
            frames = frames.view(-1, seen.shape[2], *frames.shape[1:])
            latents = self.encode(frames)  # (B N, T, P, D)
            latents = latents.view(*seen.shape[:2], *latents.shape[1:])
            return self.distance(latents, goal, began).to(actions)

        return evaluate


def _futures(
    simulator: SimulatorThreads, states: np.ndarray, actions: Tensor
) -> np.ndarray:
    """The states (B, N, H, n) that actions (B, N, H, A) lead to from states (B, n)."""
    return simulator.rollout(states, actions.detach().double().cpu().numpy())
