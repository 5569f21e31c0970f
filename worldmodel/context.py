"""What a world model knows of the past when it imagines the future."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Context:
    """The past of B problems, newest last.

    Attributes:
        latents: (B, T, P, D), T at least 1.
        actions: (B, T - 1, A) the actions between them, in [-1, 1].
        proprio: (B, T, S), or None.
        start: (B, P, D) the latents that an episode began with, where they are older
            than the others; None where they are the first of them.
    """

    latents: Tensor
    actions: Tensor
    proprio: Tensor | None = None
    start: Tensor | None = None

    def __post_init__(self) -> None:
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
    def first(self) -> Tensor:
        """(B, P, D) the latents that the episode began with."""
        return self.latents[:, 0] if self.start is None else self.start

    def begun(self, rows: Tensor) -> Context:
        """The same past; the episodes of some problems, bool (B,), begin now."""
        start = torch.where(rows[:, None, None], self.latents[:, -1], self.first)
        return Context(self.latents, self.actions, self.proprio, start)

    def problem(self, index: int) -> Context:
        """The past of one problem alone, B = 1, copied.

        Matrix products round differently with the alignment of their memory, which
        in a view would depend on the problem's place.
        """
        one = slice(index, index + 1)
        proprio = None if self.proprio is None else self.proprio[one].clone()
        return Context(
            self.latents[one].clone(),
            self.actions[one].clone(),
            proprio,
            self.first[one].clone(),
        )

    def newest(self, count: int) -> Context:
        """The last `count` moments, or all where there are fewer."""
        begin = max(0, self.latents.shape[1] - count)
        proprio = None if self.proprio is None else self.proprio[:, begin:]
        return Context(
            self.latents[:, begin:], self.actions[:, begin:], proprio, self.first
        )

    def then(self, action: Tensor, latents: Tensor, proprio: Tensor | None) -> Context:
        """One moment more: after `action` (B, A), latents (B, P, D), proprio (B, S).

        Raises:
            ValueError: proprio is given now and was not before, or the other way round.
        """
        if (proprio is None) != (self.proprio is None):
            raise ValueError("proprio must be given at every moment or at none")
        felt = None
        if proprio is not None and self.proprio is not None:
            felt = torch.cat((self.proprio, proprio[:, None]), dim=1)
        taken = action[:, None].to(self.actions)
        return Context(
            torch.cat((self.latents, latents[:, None]), dim=1),
            torch.cat((self.actions, taken), dim=1),
            felt,
            self.first,
        )

    @classmethod
    def together(cls, problems: Sequence[Context]) -> Self:
        """Several contexts of the same length as one batch."""
        felt = [one.proprio for one in problems if one.proprio is not None]
        return cls(
            torch.cat([one.latents for one in problems]),
            torch.cat([one.actions for one in problems]),
            torch.cat(felt) if felt else None,
            torch.cat([one.first for one in problems]),
        )
