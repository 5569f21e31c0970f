"""Predicts all patch tokens of the next frame, from frames, actions and states."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.encoders.rope import THETA, Rotation, rotate, rotation


@dataclass(frozen=True)
class TokenPredictorSpec:
    """Architecture of a `TokenPredictor`; the defaults are V-JEPA 2-AC's.

    Attributes:
        rows: patches of a frame along its height.
        columns: patches of a frame along its width.
        token_dim: width D of a patch token.
        action_size: dimensions A of a model step's action.
        state_size: dimensions S of the robot's state, 0 for none.
        width: width of the transformer.
        depth: number of blocks.
        heads: attention heads.
        head_width: width of a head, even and at least 6; None for width / heads.
        hidden: width of a block's MLP.
        window: frames that attention looks back on, the present one included.
    """

    rows: int = 16
    columns: int = 16
    token_dim: int = 1408
    action_size: int = 7
    state_size: int = 7
    width: int = 1024
    depth: int = 24
    heads: int = 16
    head_width: int | None = None
    hidden: int = 4096
    window: int = 8

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            least = 0 if name == "state_size" else 1
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        if self.head_width is None and self.width % self.heads:
            raise ValueError(
                f"width must be a multiple of heads={self.heads}, got {self.width}"
            )
        if self.head_dim < 6 or self.head_dim % 2:
            raise ValueError(
                "head_width (width / heads, where it is None) must be even and at "
                "least 6, for positions in time, rows and columns, got "
                f"{self.head_dim}"
            )

    @property
    def head_dim(self) -> int:
        """Width of a head."""
        return self.head_width or self.width // self.heads

    @property
    def conditions(self) -> int:
        """Tokens of a frame that are no patches: its action, and its state."""
        return 2 if self.state_size else 1


Frames = tuple[Tensor, Tensor]
"""Keys and values of some frames' tokens, (rows, heads, tokens, head width) each."""


class _Block(nn.Module):
    """Pre-norm attention with rotary positions, and an MLP."""

    def __init__(self, spec: TokenPredictorSpec) -> None:
        super().__init__()
        inner = spec.heads * spec.head_dim
        self.heads = spec.heads
        self.norm = nn.LayerNorm(spec.width)
        self.qkv = nn.Linear(spec.width, 3 * inner)
        self.out = nn.Linear(inner, spec.width)
        self.norm_mlp = nn.LayerNorm(spec.width)
        self.expand = nn.Linear(spec.width, spec.hidden)
        self.contract = nn.Linear(spec.hidden, spec.width)

    def forward(
        self, x: Tensor, places: Rotation, past: Frames | None, mask: Tensor | None
    ) -> tuple[Tensor, Frames]:
        """x (rows, tokens, width) after past frames -> x, and keys and values."""
        qkv = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1))
        turned = rotate(qkv[:, :, :2], places)
        query, key = turned.transpose(1, 3).unbind(dim=2)
        value = qkv[:, :, 2].transpose(1, 2)
        if past is not None:
            key = torch.cat((past[0].expand(len(key), -1, -1, -1), key), dim=2)
            value = torch.cat((past[1].expand(len(key), -1, -1, -1), value), dim=2)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        hidden = F.gelu(self.expand(self.norm_mlp(x)))
        return x + self.contract(hidden), (key, value)


class TokenPredictor(nn.Module):
    """A transformer over frames of patches, each with its action and its state.

    Tokens of a frame attend to all of that frame and to the frames before it, in
    training by one block-causal mask, in a roll-out by going frame after frame with
    the keys and values of those before. Positions are rotary, so only their differences
    count. As V-JEPA 2-AC (Assran et al. 2025); without a state and at other sizes as
    DINO-WM (Zhou et al. 2024) would be with action tokens.
    """

    def __init__(self, spec: TokenPredictorSpec) -> None:
        super().__init__()
        self.spec = spec
        self.enter = nn.Linear(spec.token_dim, spec.width)
        self.action = nn.Linear(spec.action_size, spec.width)
        self.state = None
        if spec.state_size:
            self.state = nn.Linear(spec.state_size, spec.width)
        self.blocks = nn.ModuleList(_Block(spec) for _ in range(spec.depth))
        self.norm = nn.LayerNorm(spec.width)
        self.leave = nn.Linear(spec.width, spec.token_dim)

    def forward(
        self, latents: Tensor, actions: Tensor, states: Tensor | None = None
    ) -> Tensor:
        """One-step predictions from true tokens (teacher forcing).

        Args:
            latents: (B, T, P, D).
            actions: (B, T, A) taken at each frame.
            states: (B, T, S) at each frame, None where the spec has none.

        Returns:
            (B, T, P, D): at t the prediction of the tokens at t + 1.
        """
        x = self._tokens(latents, actions, states)  # (B, T, C + P, width)
        frames, each = x.shape[1:3]
        x, _ = self._run(x.flatten(1, 2), 0, None, self._mask(frames, each, x.device))
        return self._predicted(x.unflatten(1, (frames, each)))

    def rollout(
        self,
        latents: Tensor,
        past_actions: Tensor,
        actions: Tensor,
        states: Tensor | None = None,
        planned: Tensor | None = None,
    ) -> Tensor:
        """Imagines what actions lead to; differentiable.

        The frames before the newest one are computed once, for all candidates.

        Args:
            latents: (B, T, P, D) the past up to now.
            past_actions: (B, T - 1, A) the actions between them.
            actions: (B, N, H, A) candidates.
            states: (B, T, S) known states of the past up to now; None where the spec
                has none.
            planned: (B, N, H - 1, S) states that the actions lead to, all but the last,
                for each candidate; None where the spec has none, or H is 1.

        Returns:
            (B, N, H, P, D): the tokens after each action.

        Raises:
            ValueError: the shapes do not fit together.
        """
        self._check(latents, past_actions, actions, states, planned)
        futures = []
        for problem in range(len(actions)):
            one = slice(problem, problem + 1)
            of_past = None if states is None else states[one, :-1]
            past = self._history(latents[one, :-1], past_actions[one], of_past)
            ahead = (
                None if states is None else _ahead(states, planned, actions, problem)
            )
            futures.append(
                self._forth(latents[problem, -1], past, actions[problem], ahead)
            )
        return torch.stack(futures)

    def _forth(
        self,
        now: Tensor,
        past: list[Frames] | None,
        actions: Tensor,
        states: Tensor | None,
    ) -> Tensor:
        """One problem's tokens (N, H, P, D) after actions (N, H, A), from (P, D) now.

        `states` (N, H, S) are those that the actions are taken in.
        """
        first = 0 if past is None else past[0][0].shape[2] // self._each
        here = now.expand(len(actions), 1, -1, -1)
        imagined = []
        for step in range(actions.shape[1]):
            state = None if states is None else states[:, step, None]
            x = self._tokens(here, actions[:, step, None], state)
            x, past = self._run(x[:, 0], first + step, past, None)
            here = self._predicted(x[:, None])
            imagined.append(here[:, 0])
        return torch.stack(imagined, dim=1)

    def _check(
        self,
        latents: Tensor,
        past_actions: Tensor,
        actions: Tensor,
        states: Tensor | None,
        planned: Tensor | None,
    ) -> None:
        """Raises ValueError unless the shapes of a roll-out fit together."""
        spec = self.spec
        if latents.ndim != 4 or actions.ndim != 4:
            raise ValueError(
                f"latents must be (B, T, P, D) and actions (B, N, H, A), got "
                f"{tuple(latents.shape)} and {tuple(actions.shape)}"
            )
        batch, known = latents.shape[0], max(1, latents.shape[1])
        candidates, horizon = actions.shape[1:3]
        expected = {
            "latents": (batch, known, spec.rows * spec.columns, spec.token_dim),
            "past_actions": (batch, known - 1, spec.action_size),
            "actions": (batch, candidates, horizon, spec.action_size),
        }
        given: dict[str, Tensor | None]
        given = {"latents": latents, "past_actions": past_actions, "actions": actions}
        if spec.state_size:
            expected["states"] = (batch, known, spec.state_size)
            given["states"] = states
            if horizon > 1 or planned is not None:
                size = (batch, candidates, horizon - 1, spec.state_size)
                expected["planned"], given["planned"] = size, planned
        elif states is not None or planned is not None:
            raise ValueError(
                "states and planned must be None where state_size is 0, got "
                f"{'states' if states is not None else 'planned'}"
            )
        for name, shape in expected.items():
            value = given[name]
            found = None if value is None else tuple(value.shape)
            if found != shape:
                raise ValueError(f"{name} must be {shape}, got {found}")

    def _history(
        self, latents: Tensor, actions: Tensor, states: Tensor | None
    ) -> list[Frames] | None:
        """Keys and values of past frames (1, T, P, D), per block; None without any."""
        frames = latents.shape[1]
        if frames == 0:
            return None
        x = self._tokens(latents, actions, states)
        mask = self._mask(frames, x.shape[2], x.device)
        return self._run(x.flatten(1, 2), 0, None, mask)[1]

    def _tokens(
        self, latents: Tensor, actions: Tensor, states: Tensor | None
    ) -> Tensor:
        """Frames (rows, T, P, D) -> tokens (rows, T, C + P, width)."""
        if (states is None) != (self.state is None):
            raise ValueError(
                f"states must be given exactly where state_size is above 0, it is "
                f"{self.spec.state_size}"
            )
        dtype = self.enter.weight.dtype
        parts = [self.action(actions.to(dtype))[:, :, None]]
        if self.state is not None and states is not None:
            parts.append(self.state(states.to(dtype))[:, :, None])
        return torch.cat((*parts, self.enter(latents.to(dtype))), dim=2)

    def _predicted(self, x: Tensor) -> Tensor:
        """Tokens (rows, T, C + P, width) -> the next frames' patches, in float32."""
        patches = x[:, :, self.spec.conditions :]
        return self.leave(self.norm(patches)).float()

    def _run(
        self, x: Tensor, first: int, past: list[Frames] | None, mask: Tensor | None
    ) -> tuple[Tensor, list[Frames]]:
        """Tokens (rows, frames x each, width), the first frame at time `first`."""
        places = self._places(first, x.shape[1], x.device)
        kept = []
        reach = (self.spec.window - 1) * self._each
        for index, block in enumerate(self.blocks):
            before = None if past is None else _newest(past[index], reach)
            x, frames = block(x, places, before, mask)
            kept.append(frames)
        return x, kept

    @property
    def _each(self) -> int:
        """Tokens of a frame."""
        return self.spec.conditions + self.spec.rows * self.spec.columns

    def _places(self, first: int, tokens: int, device: torch.device) -> Rotation:
        """Rotations of whole frames from time `first` on; conditions stand at 0, 0."""
        spec = self.spec
        rows = torch.arange(spec.rows, device=device)
        grid = torch.cartesian_prod(rows, torch.arange(spec.columns, device=device))
        frame = F.pad(grid.view(-1, 2), (0, 0, spec.conditions, 0))  # (C + P, 2)
        frames = tokens // len(frame)
        times = torch.arange(first, first + frames, device=device)
        positions = torch.cat(
            (times.repeat_interleave(len(frame))[:, None], frame.repeat(frames, 1)), 1
        )
        return rotation(positions, spec.head_dim, THETA)

    def _mask(self, frames: int, each: int, device: torch.device) -> Tensor | None:
        """Bool (tokens, tokens): true where a token may look; None for one frame."""
        if frames == 1:
            return None
        time = torch.arange(frames, device=device).repeat_interleave(each)
        lag = time[:, None] - time
        return (lag >= 0) & (lag < self.spec.window)


def _ahead(
    states: Tensor, planned: Tensor | None, actions: Tensor, problem: int
) -> Tensor:
    """States (N, H, S) that one problem's actions (N, H, A) are taken in."""
    now = states[problem, -1].expand(actions.shape[1], 1, -1)
    return now if planned is None else torch.cat((now, planned[problem]), dim=1)


def _newest(frames: Frames, tokens: int) -> Frames | None:
    """The last tokens of frames, None for none."""
    if tokens == 0:
        return None
    return frames[0][:, :, -tokens:], frames[1][:, :, -tokens:]
