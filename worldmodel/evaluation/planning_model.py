"""What a policy that plans asks of a world model."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from planners.contract import CostFn
from worldmodel.action_spec import ActionSpec


class Proposals(Protocol):
    """A `ProposeFn` that can also act alone."""

    def __call__(self, noise: Tensor) -> Tensor:
        """Action sequences (B, E, H, A) worth a look, varied by noise of that shape."""
        ...

    def arrived(self) -> Tensor:
        """Bool (B,): problems in which nothing is left to do."""
        ...


class PlanningModel(Protocol):
    """What the policy asks of a world model.

    Attributes:
        height: Height of its frames [px].
        width: Width of its frames [px].
        tubelet: Frames that the latent of one moment is computed from.
        action_spec: Meaning of its actions.
    """

    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def tubelet(self) -> int: ...
    @property
    def action_spec(self) -> ActionSpec: ...

    def encode_newest(self, clip: Tensor) -> Tensor:
        """Gives the latents (B, P, D) of the last frame of clips.

        Args:
            clip: uint8 (B, t, height, width, 3), t in [1, tubelet]; where there are
                fewer than `tubelet` frames the first one repeats.
        """
        ...

    def remember(
        self,
        past: Any | None,
        action: Tensor | None,
        latents: Tensor,
        proprio: Tensor | None,
    ) -> Any:
        """Gives the past with one moment more: latents (B, P, D), proprio (B, S).

        Args:
            past: what it gave a moment ago; None at the start.
            action: (B, A) taken since then; None at the start.
            latents: of `encode_newest`.
            proprio: measured with them.
        """
        ...

    def begun(self, past: Any, rows: Tensor) -> Any:
        """Gives the past of episodes of which some, bool (B,), begin now."""
        ...

    def predict(self, context: Any, actions: Tensor) -> Tensor:
        """Gives latents (B, N, H, P, D) under actions (B, N, H, A)."""
        ...

    def goal_cost(self, context: Any, goal: Tensor) -> CostFn:
        """Gives the cost of action sequences toward a goal (B, P, D)."""
        ...

    def proposals(self, context: Any, goal: Tensor) -> Proposals | None:
        """Gives what proposes action sequences toward a goal, where anything does."""
        ...
