"""What a world model knows of the past when it imagines the future."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from worldmodel.inputs import require_action
from worldmodel.predictors import ActionPredictorSpec

BEGINNING = 4  # moments: one and the three after it


@dataclass(frozen=True)
class Beginning:
    """The first moments of B episodes, of which a later one may be seen better.

    Attributes:
        latents: (B, `BEGINNING`, P, D); where an episode is younger the first repeats.
        age: int64 (B,) moments since the first.
    """

    latents: Tensor
    age: Tensor

    @classmethod
    def of(cls, latents: Tensor) -> Self:
        """The beginning of episodes with the latents (B, T, P, D) so far."""
        some = latents[:, :BEGINNING]
        missing = BEGINNING - some.shape[1]
        first = some[:, :1].expand(-1, missing, -1, -1)
        age = torch.full((len(some),), latents.shape[1] - 1, device=latents.device)
        return cls(torch.cat((some, first), dim=1), age)

    def then(self, latents: Tensor) -> Self:
        """One moment more, latents (B, P, D)."""
        age = self.age + 1
        now = torch.arange(BEGINNING, device=age.device) == age[:, None]
        grown = torch.where(now[..., None, None], latents[:, None], self.latents)
        return replace(self, latents=grown, age=age)

    def anew(self, rows: Tensor, latents: Tensor) -> Self:
        """Some of the episodes, bool (B,), begin with latents (B, P, D)."""
        fresh = self.of(latents[:, None])
        kept = torch.where(rows[:, None, None, None], fresh.latents, self.latents)
        return replace(self, latents=kept, age=torch.where(rows, fresh.age, self.age))

    def problem(self, index: int) -> Self:
        """That of one problem alone, B = 1, copied."""
        one = slice(index, index + 1)
        return replace(self, latents=self.latents[one].clone(), age=self.age[one])


@dataclass(frozen=True)
class Context:
    """The past of B problems, newest last.

    Attributes:
        latents: (B, T, P, D), T at least 1.
        actions: (B, T - 1, A) the actions between them, in [-1, 1].
        start: how the episodes began, where that is older than the latents; None where
            they are all there is.
    """

    latents: Tensor
    actions: Tensor
    start: Beginning | None = None

    def __post_init__(self) -> None:
        for name in ("latents", "actions"):
            if not isinstance(getattr(self, name), Tensor):
                raise ValueError(
                    f"{name} must be a torch tensor, got "
                    f"{type(getattr(self, name)).__name__}"
                )
        if self.latents.dim() != 4 or self.latents.shape[1] < 1:
            raise ValueError(
                f"latents must be (B, T >= 1, P, D), got {tuple(self.latents.shape)}"
            )
        batch, time = self.latents.shape[:2]
        if self.actions.dim() != 3 or self.actions.shape[:2] != (batch, time - 1):
            raise ValueError(
                f"actions must be (B={batch}, T - 1={time - 1}, A), got "
                f"{tuple(self.actions.shape)}"
            )

    @property
    def beginning(self) -> Beginning:
        """How the episodes began."""
        return Beginning.of(self.latents) if self.start is None else self.start

    def begun(self, rows: Tensor) -> Context:
        """The same past; the episodes of some problems, bool (B,), begin now."""
        return replace(self, start=self.beginning.anew(rows, self.latents[:, -1]))

    def problem(self, index: int) -> Context:
        """The past of one problem alone, B = 1, copied.

        Matrix products round differently with the alignment of their memory, which
        in a view would depend on the problem's place.
        """
        one = slice(index, index + 1)
        return Context(
            self.latents[one].clone(),
            self.actions[one].clone(),
            self.beginning.problem(index),
        )

    def newest(self, count: int) -> Context:
        """The last `count` moments, or all where there are fewer."""
        begin = max(0, self.latents.shape[1] - count)
        return Context(self.latents[:, begin:], self.actions[:, begin:], self.beginning)

    def then(self, action: Tensor, latents: Tensor) -> Context:
        """One moment more: after `action` (B, A), latents (B, P, D)."""
        taken = action[:, None].to(self.actions)
        return Context(
            torch.cat((self.latents, latents[:, None]), dim=1),
            torch.cat((self.actions, taken), dim=1),
            self.beginning.then(latents),
        )


def extended(
    past: Context | None, action: Tensor | None, latents: Tensor, action_size: int
) -> Context:
    """The past of B problems with one moment more; None at the start of an episode.

    Args:
        past: until a moment ago.
        action: (B, A) taken since then; None at the start.
        latents: (B, P, D) of now.
        action_size: dimensions A.

    Raises:
        ValueError: another shape or batch, or a past without the action since.
    """
    batch = len(latents)
    if past is None:
        return Context(latents[:, None], latents.new_zeros((batch, 0, action_size)))
    if action is None:
        raise ValueError("a past needs the action (B, A) taken since, got None")
    require_action(action, batch, action_size)
    if len(past.latents) != batch:
        raise ValueError(f"latents must be (B={len(past.latents)}, …), got {batch}")
    return past.then(action, latents)


def require_context(context: Context, spec: ActionPredictorSpec) -> None:
    """Raises ValueError unless a past is of the latents and actions of a predictor."""
    latent, size = (1, spec.latent_dim), spec.action_size
    if context.latents.shape[2:] != latent:
        raise ValueError(
            f"latents must be (B, T, P, D) with (P, D)={latent}, got "
            f"{tuple(context.latents.shape)}"
        )
    if context.actions.shape[-1] != size:
        raise ValueError(
            f"past actions must be (B, T - 1, A={size}), got "
            f"{tuple(context.actions.shape)}"
        )
