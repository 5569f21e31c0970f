"""Predicts all patch tokens of the next frame: V-JEPA 2-AC's predictor."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.errors import WorldModelError
from worldmodel.predictors.patch_blocks import (
    EPS,
    KeysValues,
    PatchBlock,
    frame_mask,
    newest,
)
from worldmodel.predictors.patch_predictor_spec import PatchPredictorSpec
from worldmodel.predictors.tiled_rope import Turn, tiled_turn


def normalised(tokens: Tensor) -> Tensor:
    """Gives tokens (..., D) with mean 0 and variance 1 each, as predictors take them.

    A layer norm without weights: after the encoder, and after every prediction.
    """
    return F.layer_norm(tokens.float(), tokens.shape[-1:])


class PatchPredictor(nn.Module):
    """A transformer over frames of patches, each with its action and its state.

    The tokens of a frame (action, state, patches) attend to all of that frame and to
    the frames before it: in training by one block-causal mask, in a roll-out by going
    frame after frame with the keys and values of those before. Tokens are normalised
    on both sides, see `normalised`. This is the function of V-JEPA 2-AC (Assran et al.
    2025), whose weights `worldmodel.checkpoints.vjepa2_ac` reads; its names are those
    of the published files. Without a state and at other sizes it has the shape of
    DINO-WM (Zhou et al. 2024), with action tokens.

    Positions are absolute (`tiled_rope`), so more than `frames` are refused: the
    published mask covers 32 frames, and training saw 8.
    """

    def __init__(self, spec: PatchPredictorSpec) -> None:
        super().__init__()
        self.spec = spec
        width = spec.width
        self.predictor_embed = nn.Linear(spec.token_dim, width)
        self.action_encoder = nn.Linear(spec.action_size, width)
        self.state_encoder = None
        if spec.state_size:
            self.state_encoder = nn.Linear(spec.state_size, width)
        if spec.extrinsics_size:
            self.extrinsics_encoder = nn.Linear(spec.extrinsics_size, width)
        self.predictor_blocks = nn.ModuleList(
            PatchBlock(spec) for _ in range(spec.depth)
        )
        self.predictor_norm = nn.LayerNorm(width, eps=EPS)
        self.predictor_proj = nn.Linear(width, spec.token_dim)

    def forward(
        self, latents: Tensor, actions: Tensor, states: Tensor | None = None
    ) -> Tensor:
        """One-step predictions from true tokens (teacher forcing).

        Args:
            latents: (B, T, P, D), normalised.
            actions: (B, T, A) taken at each frame.
            states: (B, T, S) at each frame, None where the spec has none.

        Returns:
            (B, T, P, D): at t the prediction of the tokens at t + 1, normalised.

        Raises:
            WorldModelError: the shapes do not fit, or T is more than `frames`.
        """
        spec = self.spec
        if latents.ndim != 4:
            raise WorldModelError(
                f"latents must be (B, T, P, D), got {tuple(latents.shape)}"
            )
        batch, time = latents.shape[:2]
        _require_shape("latents", latents, (batch, time, spec.patches, spec.token_dim))
        _require_shape("actions", actions, (batch, time, spec.action_size))
        self.require_frames(time)
        x = self._tokens(self._embed(latents), actions, states)
        x, _ = self._run(x.flatten(1, 2), 0, None, False)
        return self._predicted(x.unflatten(1, (time, -1)))

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
            latents: (B, T, P, D) the past up to now, normalised.
            past_actions: (B, T - 1, A) the actions between them.
            actions: (B, N, H, A) candidates.
            states: (B, T, S) known states of the past up to now; None where the spec
                has none.
            planned: (B, N, H - 1, S) states that the actions lead to, all but the last,
                for each candidate; None where the spec has none, or H is 1.

        Returns:
            (B, N, H, P, D): the tokens after each action, normalised.

        Raises:
            WorldModelError: the shapes do not fit together, or T + H - 1 is more than
                `frames`.
        """
        self._check(latents, past_actions, actions, states, planned)
        futures = []
        for problem in range(len(actions)):
            one = slice(problem, problem + 1)
            of_past = None if states is None else states[one, :-1]
            past = self._history(latents[one, :-1], past_actions[one], of_past)
            ahead = _ahead(states, planned, actions, problem)
            now = latents[problem, -1]
            futures.append(self._forth(now, past, actions[problem], ahead))
        return torch.stack(futures)

    def require_frames(self, count: int) -> None:
        """Raises WorldModelError if so many frames can not be seen at once."""
        if not 1 <= count <= self.spec.frames:
            raise WorldModelError(
                f"frames of the past and of the plan must be 1 to {self.spec.frames}, "
                f"got {count}: positions count from the first frame, and V-JEPA 2-AC's "
                "mask ends at 32; give the newest frames alone, or plan fewer steps"
            )

    def _forth(
        self,
        now: Tensor,
        past: list[KeysValues] | None,
        actions: Tensor,
        states: Tensor | None,
    ) -> Tensor:
        """One problem's tokens (N, H, P, D) after actions (N, H, A), from (P, D) now.

        `states` (N, H, S) are those that the actions are taken in.
        """
        first = 0 if past is None else past[0][0].shape[2] // self._each
        candidates, horizon = actions.shape[:2]
        here = self._embed(now).expand(candidates, 1, -1, -1)
        imagined = []
        for step in range(horizon):
            state = None if states is None else states[:, step, None]
            x = self._tokens(here, actions[:, step, None], state)
            last = step + 1 == horizon
            x, past = self._run(x[:, 0], first + step, past, not last)
            imagined.append(self._predicted(x))
            if not last:
                here = self._embed(imagined[-1][:, None])
        return torch.stack(imagined, dim=1)

    def _check(
        self,
        latents: Tensor,
        past_actions: Tensor,
        actions: Tensor,
        states: Tensor | None,
        planned: Tensor | None,
    ) -> None:
        """Raises WorldModelError unless the shapes of a roll-out fit together."""
        spec = self.spec
        if latents.ndim != 4 or actions.ndim != 4:
            raise WorldModelError(
                f"latents must be (B, T, P, D) and actions (B, N, H, A), got "
                f"{tuple(latents.shape)} and {tuple(actions.shape)}"
            )
        batch, known = latents.shape[0], max(1, latents.shape[1])
        candidates, horizon = actions.shape[1:3]
        size = spec.state_size
        _require_shape("latents", latents, (batch, known, spec.patches, spec.token_dim))
        wanted = (batch, known - 1, spec.action_size)
        _require_shape("past_actions", past_actions, wanted)
        wanted = (batch, candidates, horizon, spec.action_size)
        _require_shape("actions", actions, wanted)
        if size:
            _require_shape("states", states, (batch, known, size))
            if horizon > 1 or planned is not None:
                wanted = (batch, candidates, horizon - 1, size)
                _require_shape("planned", planned, wanted)
        elif states is not None or planned is not None:
            raise WorldModelError(
                "states and planned must be None where state_size is 0, got "
                f"{'states' if states is not None else 'planned'}"
            )
        self.require_frames(known + horizon - 1)

    def _history(
        self, latents: Tensor, actions: Tensor, states: Tensor | None
    ) -> list[KeysValues] | None:
        """Keys and values of past frames (1, T, P, D), per block; None without any."""
        if latents.shape[1] == 0:
            return None
        x = self._tokens(self._embed(latents), actions, states)
        return self._run(x.flatten(1, 2), 0, None, True)[1]

    def _embed(self, latents: Tensor) -> Tensor:
        return self.predictor_embed(latents.to(self.predictor_embed.weight.dtype))

    def _tokens(
        self, embedded: Tensor, actions: Tensor, states: Tensor | None
    ) -> Tensor:
        """Embedded patches (rows, T, P, width) -> tokens (rows, T, C + P, width)."""
        spec, dtype = self.spec, embedded.dtype
        parts = [self.action_encoder(actions.to(dtype))[:, :, None]]
        if self.state_encoder is not None:
            rows, time = embedded.shape[:2]
            _require_shape("states", states, (rows, time, spec.state_size))
            assert states is not None
            parts.append(self.state_encoder(states.to(dtype))[:, :, None])
        elif states is not None:
            raise WorldModelError("states must be None where state_size is 0")
        return torch.cat((*parts, embedded), dim=2)

    def _predicted(self, x: Tensor) -> Tensor:
        """Tokens (..., C + P, width) -> the next frame's patches, in float32."""
        patches = x[..., self.spec.conditions :, :]
        return normalised(self.predictor_proj(self.predictor_norm(patches)))

    def _run(
        self, x: Tensor, first: int, past: list[KeysValues] | None, keep: bool
    ) -> tuple[Tensor, list[KeysValues]]:
        """Tokens (rows, frames x each, width), the first frame at time `first`.

        Keys and values of all frames seen are given too, where they are to be kept.
        """
        frames = x.shape[1] // self._each
        turn = self._turn(first, frames, x.device)
        mask = frame_mask(frames, self._each, self.spec.window, x.device)
        reach = None if self.spec.window is None else self.spec.window - 1
        kept = []
        for index, block in enumerate(self.predictor_blocks):
            before = None if past is None else newest(past[index], reach, self._each)
            x, seen = block(x, turn, before, mask)
            if keep:
                kept.append(seen)
        return x, kept

    @property
    def _each(self) -> int:
        """Tokens of a frame."""
        return self.spec.conditions + self.spec.patches

    def _turn(self, first: int, frames: int, device: torch.device) -> Turn:
        """The turns of whole frames from time `first` on; conditions stand at 0, 0."""
        spec = self.spec
        rows = torch.arange(spec.rows, device=device, dtype=torch.float32)
        columns = torch.arange(spec.columns, device=device) * (spec.rows / spec.columns)
        grid = torch.cartesian_prod(rows, columns)  # as published, as wide as high
        frame = F.pad(grid.view(-1, 2), (0, 0, spec.conditions, 0))  # (C + P, 2)
        times = torch.arange(first, first + frames, device=device)
        times = times.repeat_interleave(len(frame))[:, None]
        positions = torch.cat((times, frame.repeat(frames, 1)), dim=1)
        return tiled_turn(positions, spec.head_dim)


def _ahead(
    states: Tensor | None, planned: Tensor | None, actions: Tensor, problem: int
) -> Tensor | None:
    """States (N, H, S) that one problem's actions (N, H, A) are taken in, if any."""
    if states is None:
        return None
    now = states[problem, -1].expand(actions.shape[1], 1, -1)
    return now if planned is None else torch.cat((now, planned[problem]), dim=1)


def _require_shape(name: str, value: Tensor | None, wanted: tuple[int, ...]) -> None:
    found = None if value is None else tuple(value.shape)
    if found != wanted:
        raise WorldModelError(f"{name} must be {wanted}, got {found}")
