"""V-JEPA 2-AC with its frozen encoder, as the commands plan with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from worldmodel.action_spec import ActionSpec
from worldmodel.checkpoints.world_models import load_world_model, save_world_model
from worldmodel.encoders import FrozenEncoder, PublishedSpec
from worldmodel.encoders.frozen import unfilled
from worldmodel.encoders.patches import check_frames
from worldmodel.errors import WorldModelError
from worldmodel.files.plain import of_plain
from worldmodel.inference.batch_invariant import each_alone
from worldmodel.inputs import require_proprio
from worldmodel.predictors import PatchPredictor, PatchPredictorSpec, pose
from worldmodel.predictors.patch_predictor import normalised
from worldmodel.vjepa2_ac.planning import RATE_HZ, VJEPA2AC, SearchSpace


@dataclass(frozen=True)
class PatchWorldModelSpec:
    """Architecture and meaning of a `PatchWorldModel`.

    Attributes:
        encoder: the published encoder.
        predictor: of its patch tokens.
        space: what a planner searches, and an env is told as it is: without a dead
            zone, and without forced closing.
        rate_hz: steps a second: frames that the predictor learned from [Hz].
    """

    kind: ClassVar[str] = "patch_world_model"
    encoder: PublishedSpec
    predictor: PatchPredictorSpec
    space: SearchSpace = field(default_factory=lambda: SearchSpace(dead_zone=0.0))
    rate_hz: float = RATE_HZ

    def __post_init__(self) -> None:
        if self.space.dead_zone or self.space.close_from is not None:
            raise WorldModelError(
                "space.dead_zone must be 0 and space.close_from null: an env is told "
                f"what was searched, got {self.space.dead_zone} and "
                f"{self.space.close_from}; plan from Python for these"
            )
        given = (self.encoder.patches, self.encoder.dim)
        taken = (self.predictor.patches, self.predictor.token_dim)
        if given != taken:
            raise WorldModelError(
                f"the encoder gives {given[0]} tokens of {given[1]} a frame, the "
                f"predictor takes {taken[0]} of {taken[1]}: take both from one model"
            )

    def to_json(self) -> dict[str, Any]:
        """The spec as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PatchWorldModelSpec:
        """The spec from what `to_json` gave.

        Raises:
            WorldModelError: a field is missing, unknown, or of another type or size.
        """
        return of_plain(cls, values, "spec")


@dataclass(frozen=True, eq=False)
class Posed:
    """The present of B problems: the newest frame alone, as published.

    Attributes:
        tokens: (B, 1, P, D), normalised.
        states: (B, 1, 7), see `pose`.
    """

    tokens: Tensor
    states: Tensor


class PatchWorldModel(nn.Module):
    """What `VJEPA2AC` plans with, behind the contract of `PlanningModel`.

    Proprio is the robot's pose, and needed. There is no learned distance, no policy
    prior and no memory: a plan knows the newest frame alone.

    Attributes:
        spec: architecture and meaning.
        history: how it was made, as plain JSON.
        batch_invariant: whether, on a CPU, each problem's frames are encoded alone;
            roll-outs always are.
        chunk: candidates of a problem imagined at once, see `VJEPA2AC`.
    """

    tubelet = 1  # a frame is encoded alone, standing still

    def __init__(
        self, spec: PatchWorldModelSpec, history: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.spec, self.history = spec, dict(history or {})
        self.batch_invariant = True
        self.chunk: int | None = None
        self.encoder = FrozenEncoder(unfilled(spec.encoder))
        self.predictor = PatchPredictor(spec.predictor)

    @property
    def height(self) -> int:
        """Image height [px]."""
        return self.spec.encoder.height

    @property
    def width(self) -> int:
        """Image width [px]."""
        return self.spec.encoder.width

    @property
    def action_spec(self) -> ActionSpec:
        """What the actions mean: dx, dy, dz and dgripper of `SearchSpace`."""
        return replace(self.spec.space.spec, rate_hz=self.spec.rate_hz)

    @property
    def precision(self) -> torch.dtype:
        """Of the predictor's weights and products."""
        return self.predictor.predictor_embed.weight.dtype

    @precision.setter
    def precision(self, dtype: torch.dtype) -> None:
        self.predictor.to(dtype)

    @torch.no_grad()
    def encode_newest(self, clip: Tensor) -> Tensor:
        """Normalised tokens (B, P, D) of the last frame of clips.

        Args:
            clip: uint8 (B, T, height, width, 3).
        """
        check_frames(clip, self.height, self.width)
        return each_alone(self.batch_invariant, self._newest, clip[:, -1:])

    def remember(
        self,
        past: Posed | None,
        action: Tensor | None,
        latents: Tensor,
        proprio: Tensor | None,
    ) -> Posed:
        """The present; past and action since are forgotten, as published.

        Args:
            past: what this gave a moment ago.
            action: taken since then.
            latents: (B, P, D) of `encode_newest`.
            proprio: (B, 7) the robot's pose.

        Raises:
            WorldModelError: there is no pose, or one of another size.
        """
        del past, action
        if proprio is None:
            raise WorldModelError(
                f"proprio must be the robot's pose (B, {pose.SIZE}): x, y, z [m], "
                "Euler angles [rad], how far the gripper is closed; got none"
            )
        require_proprio(proprio, len(latents), pose.SIZE, pose.SIZE)
        return Posed(latents[:, None], proprio[:, None])

    def begun(self, past: Posed, rows: Tensor) -> Posed:
        """The same: nothing is remembered of how an episode began."""
        del rows
        return past

    @torch.no_grad()
    def predict(self, context: Posed, actions: Tensor) -> Tensor:
        """Tokens (B, N, H, P, D) under actions (B, N, H, 4) in [-1, 1]."""
        return self._planned.rollout(context.tokens, context.states)(actions)

    def goal_cost(self, context: Posed, goal: Tensor) -> Callable[[Tensor], Tensor]:
        """The cost of candidates toward goal tokens (B, P, D), a `CostFn`."""
        return self._planned.goal_cost(context.tokens, context.states, goal)

    def proposals(self, context: Posed, goal: Tensor) -> None:
        """Nothing proposes candidates."""
        del context, goal

    def planning_bytes(self, candidates: int, horizon: int, batch: int) -> int:
        """See `VJEPA2AC.planning_bytes`."""
        return self._planned.planning_bytes(candidates, horizon, batch)

    def save_pretrained(self, path: str | Path, card: str) -> None:
        """Writes a checkpoint folder; the encoder is named, not copied."""
        save_world_model(self, self.spec, self.history, path, card)

    @classmethod
    def from_pretrained(
        cls, path: str | Path, encoder: str | Path | None = None
    ) -> PatchWorldModel:
        """Reads a checkpoint folder, in eval mode, on the CPU; see `load_world_model`.

        Args:
            path: the folder.
            encoder: where the published encoder lies now; None for where it lay then.
        """
        return load_world_model(path, PatchWorldModelSpec, cls, encoder)

    @property
    def _planned(self) -> VJEPA2AC:
        return VJEPA2AC(
            self.encoder.newest, self.predictor, self.spec.space, self.chunk
        )

    def _newest(self, clip: Tensor) -> Tensor:
        return normalised(self.encoder.newest(clip))
