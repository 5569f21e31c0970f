"""What a world model knows of the past when it imagines the future."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Context:
    """The past of B problems, newest last.

    Attributes:
        latents: (B, T, P, D), T at least 1.
        actions: (B, T - 1, A) the actions between them, in [-1, 1].
        proprio: (B, T, S), or None.
    """

    latents: Tensor
    actions: Tensor
    proprio: Tensor | None = None

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

    def problem(self, index: int) -> Context:
        """The past of one problem alone, B = 1, copied.

        Matrix products round differently with the alignment of their memory, which
        in a view would depend on the problem's place.
        """
        one = slice(index, index + 1)
        proprio = None if self.proprio is None else self.proprio[one].clone()
        return Context(self.latents[one].clone(), self.actions[one].clone(), proprio)
