"""Imagining from one past: what is the same for all candidates is computed once."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from worldmodel.costs.distances import LearnedDistances
from worldmodel.history import Context
from worldmodel.inference.predictor import Past, PredictorCopy
from worldmodel.inputs import asks_for_gradient, require_candidates
from worldmodel.policy_prior import PolicyPrior
from worldmodel.predictors import ActionPredictor


@dataclass(frozen=True, eq=False)
class CachedRollout:
    """What actions lead to, from the past of B problems.

    Attributes:
        predictor: imagines where gradients are asked for.
        packed: imagines where they are not.
        context: the past.
    """

    predictor: ActionPredictor
    packed: PredictorCopy
    context: Context

    def __call__(self, actions: Tensor) -> Tensor:
        """Actions (B, N, H, A) in [-1, 1] -> latents (B, N, H, P, D), P = 1."""
        taken = self.context.actions
        require_candidates(actions, len(taken), taken.shape[-1])
        past = self.context.latents[:, :, 0]  # (B, T, D)
        if asks_for_gradient(actions):
            future = self.predictor.rollout(past, taken, actions)
        else:
            with torch.no_grad():
                future = self.packed.rollout(past[:, -1], self.history, actions)
        return future[..., None, :]

    @cached_property
    def history(self) -> Past:
        """The past up to the newest latents, as the packed predictor takes it."""
        with torch.no_grad():
            past = self.context.latents[:, :, 0]
            return self.packed.history(past, self.context.actions)


@dataclass(frozen=True, eq=False)
class InferenceCopies:
    """The parts of a model that planning asks thousands of times, in one precision.

    Attributes:
        predictors: packed.
        distances: a copy whose network computes in `dtype`.
        policy_prior: likewise, None where there is none.
        dtype: of their matrix products.
    """

    predictors: tuple[PredictorCopy, ...]
    distances: LearnedDistances
    policy_prior: PolicyPrior | None
    dtype: torch.dtype
    _stamp: tuple[object, ...] = field(default=(), repr=False)

    @classmethod
    def of(
        cls,
        predictors: tuple[ActionPredictor, ...],
        distances: LearnedDistances,
        policy_prior: PolicyPrior | None,
        dtype: torch.dtype,
    ) -> InferenceCopies:
        """Packs the parts as they are now."""
        fast, quick = deepcopy(distances).eval(), None
        if fast.temporal is not None:
            fast.temporal.compute_in(dtype)
        if policy_prior is not None:
            quick = deepcopy(policy_prior).eval()
            quick.compute_in(dtype)
        packed = tuple(PredictorCopy(predictor, dtype) for predictor in predictors)
        stamp = _stamp(*predictors, distances, policy_prior)
        return cls(packed, fast, quick, dtype, stamp)

    def is_of(
        self,
        predictors: tuple[ActionPredictor, ...],
        distances: LearnedDistances,
        policy_prior: PolicyPrior | None,
        dtype: torch.dtype,
    ) -> bool:
        """Whether the parts are still what was packed."""
        same = self._stamp == _stamp(*predictors, distances, policy_prior)
        return same and self.dtype == dtype


def _stamp(*parts: nn.Module | None) -> tuple[object, ...]:
    """Changes whenever a weight is replaced or changed in place."""
    return tuple(
        (weight.data_ptr(), weight._version)
        for part in parts
        if part is not None
        for weight in part.parameters()
    )
