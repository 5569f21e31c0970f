"""What play did when it went that way: an action for a latent and a goal, at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.costs.distances import TemporalDistance
from worldmodel.costs.goal_projection import GoalProjection, GoalProjectionSpec
from worldmodel.history import Context
from worldmodel.inference.affine import pack
from worldmodel.inference.batch_invariant import apart, each_alone
from worldmodel.inference.predictor import PredictorCopy
from worldmodel.inputs import require_candidates


@dataclass(frozen=True)
class PolicyPriorSpec:
    """Architecture of a `PolicyPrior`.

    Attributes:
        projection: what it looks at in a latent, and which part of that makes a goal.
        action_size: dimensions A of an action.
        hidden: width of the hidden layers.
    """

    projection: GoalProjectionSpec = field(default_factory=GoalProjectionSpec)
    action_size: int = 5
    hidden: int = 512

    def __post_init__(self) -> None:
        for name in ("action_size", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )


class PolicyPrior(nn.Module):
    """A latent and a goal -> the action that play took where it got nearer.

    It answers without a search, and errs where a search would not. But what it does is
    close to what the model has seen, so its roll-outs are where a search begins well:
    away from them are actions whose outcome nobody can foresee, and a search finds the
    ones that the model is most wrong about.
    """

    def __init__(self, spec: PolicyPriorSpec) -> None:
        super().__init__()
        self.spec = spec
        self.projection = GoalProjection(spec.projection)
        self.enter = nn.Linear(self.projection.size, spec.hidden)
        self.middle = nn.ModuleList(
            nn.Linear(spec.hidden, spec.hidden) for _ in range(2)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(spec.hidden) for _ in range(2))
        self.leave = nn.Linear(spec.hidden, spec.action_size)

    def forward(self, latents: Tensor, goals: Tensor) -> Tensor:
        """Latents (..., D) and goals (..., D), broadcast -> actions in [-1, 1]."""
        seen = self.projection(latents, goals)
        hidden = F.gelu(self.enter(seen))
        for middle, norm in zip(self.middle, self.norms, strict=True):
            hidden = F.gelu(norm(hidden + middle(hidden)))
        return torch.tanh(self.leave(hidden).to(seen.dtype))

    def compute_in(self, dtype: torch.dtype) -> None:
        """Sets the precision of the network; what it looks at stays as it is."""
        pack(self, ("enter", "middle.0", "middle.1", "leave", "norms"), dtype)


@dataclass(frozen=True)
class PriorProposals:
    """Action sequences that follow the policy prior through imagination.

    Where `batch_invariant`, on a CPU, each problem is imagined alone, so that its
    proposals are bitwise the same in every batch.

    Attributes:
        policy_prior: chooses the actions.
        predictor: imagines where they lead, packed.
        context: the past of B problems.
        goal: (B, P, D) latents of their goals, P = 1.
        batch_invariant: whether each problem is imagined alone, on a CPU.
        distance: says whether a goal is reached; None where nothing does.
    """

    policy_prior: PolicyPrior
    predictor: PredictorCopy
    context: Context
    goal: Tensor
    batch_invariant: bool = True
    distance: TemporalDistance | None = None

    @torch.no_grad()
    def arrived(self) -> Tensor:
        """Bool (B,): whether less than a step is left, by the temporal distance.

        The policy prior learned from what came nearer to a goal, so at the goal itself
        it has learned nothing. A search compares its plan with doing nothing; who acts
        by the policy prior alone has to stop here.
        """
        now, goal = self.context.latents[:, -1].flatten(1), self.goal.flatten(1)
        if self.distance is None:
            return torch.zeros(len(now), dtype=torch.bool, device=now.device)
        return each_alone(self.batch_invariant, self.distance, now, goal) < 1.0

    @torch.no_grad()
    def __call__(self, noise: Tensor) -> Tensor:
        """Proposals (B, N, H, A) in [-1, 1]: the policy prior's actions and `noise`.

        Args:
            noise: (B, N, H, A), added to the action of each candidate and step; what
                follows is chosen where it leads.
        """
        taken = self.context.actions
        require_candidates(noise, len(taken), taken.shape[-1])
        if not apart(self.batch_invariant, noise):
            return self._follow(self.context, self.goal, noise)
        rows = [
            self._follow(
                self.context.problem(b), self.goal[b : b + 1].clone(), noise[b : b + 1]
            )
            for b in range(len(noise))
        ]
        return torch.cat(rows)

    def _follow(self, context: Context, goal: Tensor, noise: Tensor) -> Tensor:
        batch, count, horizon, _ = noise.shape
        past = context.latents[:, :, 0]
        history = self.predictor.history(past, context.actions) if horizon > 1 else None
        now = past[:, -1:].expand(batch, count, -1)  # (B, N, D)
        taken: list[Tensor] = []
        for step in range(horizon):
            if history is not None and taken:
                modulations = self.predictor.modulate(taken[-1])
                now, history = self.predictor.advance(now, modulations, history)
            action = (self.policy_prior(now, goal) + noise[:, :, step]).clamp(-1.0, 1.0)
            taken.append(action)
        return torch.stack(taken, dim=2)
