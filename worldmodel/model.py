"""The world model: encodes frames, imagines what actions do, measures surprise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from worldmodel.action_spec import ActionSpec
from worldmodel.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from worldmodel.costs.goal_cost import GoalCost, LatentGoalCost
from worldmodel.costs.learned import LearnedDistances
from worldmodel.encoders import FrozenEncoder, VideoViT
from worldmodel.errors import CheckpointError, WorldModelError
from worldmodel.history import Context
from worldmodel.inference.copies import Imagination, Packed
from worldmodel.memory import Memory
from worldmodel.model_spec import WorldModelSpec
from worldmodel.policy_prior import Habit, HabitProposals
from worldmodel.predictors import ActionPredictor
from worldmodel.projectors.projector import Compressor
from worldmodel.projectors.proprio_correction import Anchor


class WorldModel(nn.Module):
    """A frozen encoder and what plans on top of it.

    Attributes:
        spec: architecture and meaning.
        history: how it was made, as plain JSON (dataset, seeds, recipe, results).
        alone: whether, on a CPU, each problem of a batch is computed alone, so that it
            is bitwise the same in every batch. Without, a batch of twenty is three
            times as fast, and its last bits depend on who is in it.
        precision: of the matrix products of planning; encoding and whatever is
            differentiated are in float32.
    """

    def __init__(
        self, spec: WorldModelSpec, history: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.spec = spec
        self.history = dict(history or {})
        self.alone = True
        self.precision = torch.float32
        self._packed: Packed | None = None
        self.encoder = FrozenEncoder(VideoViT(spec.encoder))
        self.compressor = Compressor(spec.compressor)
        self.predictor = ActionPredictor(spec.predictor)
        self.distances = LearnedDistances.of(spec.distances, spec.compressor.dim)
        self.habit = None if spec.habit is None else Habit(spec.habit)
        dim = spec.compressor.dim
        self.anchor = Anchor(dim, spec.anchor) if spec.anchor else None
        self.reader = None if spec.reader is None else Compressor(spec.reader)
        self.memory = None if spec.memory is None else Memory(spec.memory)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy takes along: not what was packed, which it packs for itself."""
        return {**self.__dict__, "_packed": None}

    @property
    def height(self) -> int:
        """Image height [px]."""
        return self.spec.encoder.height

    @property
    def width(self) -> int:
        """Image width [px]."""
        return self.spec.encoder.width

    @property
    def tubelet(self) -> int:
        """Frames that the latent of one moment is computed from."""
        return self.spec.encoder.tubelet

    @property
    def context_frames(self) -> int:
        """Past latents that `remember` keeps: those that one block looks at.

        Blocks on top of one another could see further back, `depth` windows in all; in
        closed loop the model plans on these alone.
        """
        return self.spec.predictor.window

    @property
    def action_spec(self) -> ActionSpec:
        """What the actions mean."""
        return self.spec.action_spec

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """Planning latents of frames.

        Args:
            frames: uint8 (B, T, height, width, 3).

        Returns:
            (B, T, 1, D); that of frame t is computed from the clip of the last
            `tubelet` frames ending at t. A still picture is a clip of itself.
        """
        return self._compressed(self.encoder.encode(frames))[:, :, None]

    @torch.no_grad()
    def encode_newest(self, clip: Tensor) -> Tensor:
        """Planning latents of the last frame of each clip, at the cost of one frame.

        Where `alone`, on a CPU, each clip is encoded alone, so that its latent is
        bitwise the same in every batch (matrix products round differently with the
        number of rows).

        Args:
            clip: uint8 (B, T, height, width, 3), T at least 1. Only the last `tubelet`
                frames count; where there are fewer, the first repeats.

        Returns:
            (B, 1, D), what `encode` gives for the last frame.
        """
        clip = clip[:, -self.tubelet :]
        missing = self.tubelet - clip.shape[1]
        if missing:
            first = clip[:, :1].expand(-1, missing, -1, -1, -1)
            clip = torch.cat([first, clip], dim=1)
        at_once = 1 if self._apart(clip) else len(clip)
        tokens = [self.encoder.encoder.newest(some) for some in clip.split(at_once)]
        return torch.cat([self._compressed(some) for some in tokens])[:, None]

    def _compressed(self, tokens: Tensor) -> Tensor:
        """Tokens (..., P, token_dim) -> latents (..., D)."""
        latents = self.compressor(tokens)
        if self.reader is None or self.anchor is None:
            return latents
        return self.anchor.telling(latents, self.reader(tokens))

    def context(
        self, latents: Tensor, actions: Tensor, proprio: Tensor | None = None
    ) -> Context:
        """The past as `imagine` and `goal_cost` take it, of a whole film.

        Args:
            latents: (B, T, P, D) of `encode` or `encode_newest`.
            actions: (B, T - 1, A) between them.
            proprio: (B, T, S) at them, which corrects them where the model has an
                anchor; None leaves them as the picture tells them.

        Raises:
            ValueError: a shape that the model does not take, or proprio with fewer
                dimensions than the anchor takes.
        """
        whole = Context(latents, actions, proprio)
        self._check_context(whole)
        felt = [None] * latents.shape[1] if proprio is None else proprio.unbind(1)
        past = self._begun(latents[:, 0], felt[0])
        for step in range(1, latents.shape[1]):
            taken = whole.actions[:, step - 1]
            past = self._extended(past, taken, latents[:, step], felt[step])
        return past

    def remember(
        self,
        past: Context | None,
        action: Tensor | None,
        latents: Tensor,
        proprio: Tensor | None = None,
    ) -> Context:
        """The past with the present, step by step through an episode.

        The picture's latent is corrected by the proprio that was measured with it, and
        by what was to be expected after `past` (see `Anchor`, `Memory`). What is
        older than imagination needs falls away; what memory made of it stays.

        Args:
            past: what this gave a moment ago; None at the start.
            action: (B, A) taken since then; None at the start.
            latents: (B, P, D) of `encode_newest`.
            proprio: (B, S) measured now, at every moment or at none.

        Raises:
            ValueError: proprio has fewer dimensions than the anchor takes, or a past
                comes without the action since.
        """
        if past is None:
            return self._begun(latents, proprio)
        if action is None:
            raise ValueError("a past needs the action (B, A) taken since, got None")
        known = self.context_frames
        return self._extended(past, action, latents, proprio).newest(known)

    def begun(self, past: Context, rows: Tensor) -> Context:
        """The past of episodes of which some, bool (B,), begin now, with a new goal."""
        return past.begun(rows)

    def _apart(self, batch: Tensor) -> bool:
        """Whether the problems of a batch are computed one by one."""
        return self.alone and batch.device.type == "cpu"

    def _begun(self, latents: Tensor, proprio: Tensor | None) -> Context:
        """The first moment, corrected by proprio."""
        size = self.spec.predictor.action_size
        none = latents.new_zeros((len(latents), 0, size))
        if self._apart(latents):
            rows = zip(*_alone(latents, proprio), strict=True)
            latents = torch.cat([self._anchored(one, felt) for one, felt in rows])
        else:
            latents = self._anchored(latents, proprio)
        felt = None if proprio is None else proprio[:, None]
        return Context(latents[:, None], none, felt)

    def _extended(
        self, past: Context, action: Tensor, latents: Tensor, proprio: Tensor | None
    ) -> Context:
        """One moment more, all of the past kept."""
        if not self._apart(latents):
            return self._one_more(past, action, latents, proprio)
        rows = zip(*_alone(latents, proprio), strict=True)
        return Context.together(
            [
                self._one_more(past.problem(b), action[b : b + 1], one, felt)
                for b, (one, felt) in enumerate(rows)
            ]
        )

    @torch.no_grad()
    def _one_more(
        self, past: Context, action: Tensor, latents: Tensor, proprio: Tensor | None
    ) -> Context:
        believed = self._anchored(latents, proprio)
        if self.memory is not None:
            recent = past.newest(self.context_frames)
            taken = torch.cat((recent.actions, action[:, None].to(latents)), dim=1)
            expected = self.predictor(recent.latents[:, :, 0], taken)[:, -1]
            believed = self.memory(believed[:, 0], expected)[:, None]
        return past.then(action, believed, proprio)

    @torch.no_grad()
    def _anchored(self, latents: Tensor, proprio: Tensor | None) -> Tensor:
        if self.anchor is None or proprio is None:
            return latents
        if proprio.shape[-1] < self.spec.anchor:
            raise ValueError(
                f"proprio must have at least the {self.spec.anchor} dimensions that "
                f"the model was trained with, got {proprio.shape[-1]}"
            )
        return self.anchor(latents, proprio[:, None])

    def imagine(self, context: Context, actions: Tensor) -> Tensor:
        """Latents that actions lead to; differentiable in the actions.

        Args:
            context: the past of B problems.
            actions: (B, N, H, A) in [-1, 1].

        Returns:
            (B, N, H, 1, D), the latent after each action.
        """
        wanted = (context.latents.shape[0], self.spec.predictor.action_size)
        if actions.dim() != 4 or (actions.shape[0], actions.shape[-1]) != wanted:
            raise ValueError(
                f"actions must be (B={wanted[0]}, N, H, A={wanted[1]}), got "
                f"{tuple(actions.shape)}"
            )
        return self.imagination(context)(actions)

    def imagination(self, context: Context) -> Imagination:
        """What maps actions (B, N, H, A) to latents (B, N, H, 1, D), from one past."""
        self._check_context(context)
        return Imagination(self.predictor, self.packed().predictor, context)

    def packed(self) -> Packed:
        """What planning computes with, packed anew where weights have changed."""
        parts = self.predictor, self.distances, self.habit, self.precision
        if self._packed is None or not self._packed.is_of(*parts):
            self._packed = Packed.of(*parts)
        return self._packed

    def goal_cost(
        self, context: Context, goal: Tensor, kind: GoalCost | None = None
    ) -> LatentGoalCost:
        """The planning cost toward goal latents (B, P, D), a `CostFn`."""
        wanted = (context.latents.shape[0], *context.latents.shape[2:])
        if goal.shape != wanted:
            raise ValueError(
                f"goal must be (B, P, D)={wanted}, got {tuple(goal.shape)}"
            )
        kind = self.spec.cost if kind is None else kind
        learned, fast = self.distances, self.packed().distances
        return LatentGoalCost(self, context, goal, kind, learned, fast, self.alone)

    def proposals(self, context: Context, goal: Tensor) -> HabitProposals | None:
        """What the habit would do toward goals (B, P, D); None without a habit."""
        packed = self.packed()
        if packed.habit is None:
            return None
        return HabitProposals(packed.habit, packed.predictor, context, goal, self.alone)

    @torch.no_grad()
    def surprise(self, frames: Tensor, actions: Tensor) -> Tensor:
        """How far each frame is from what was expected.

        Args:
            frames: uint8 (B, T, height, width, 3), T at least 2.
            actions: (B, T - 1, A), the action between each two.

        Returns:
            (B, T - 1) mean squared error of the one-step prediction.
        """
        wanted = (frames.shape[0], frames.shape[1] - 1, self.spec.predictor.action_size)
        if frames.shape[1] < 2 or actions.shape != wanted:
            raise ValueError(
                f"actions must be (B, T - 1 >= 1, A)={wanted}, got "
                f"{tuple(actions.shape)}"
            )
        latents = self.encode(frames)[:, :, 0]
        expected = self.predictor(latents[:, :-1], actions)
        return (expected - latents[:, 1:]).square().mean(-1)

    def _check_context(self, context: Context) -> None:
        latent = (1, self.spec.predictor.latent_dim)
        if context.latents.shape[2:] != latent:
            raise ValueError(
                f"latents must be (B, T, P, D) with (P, D)={latent}, got "
                f"{tuple(context.latents.shape)}"
            )
        size = self.spec.predictor.action_size
        if context.actions.shape[-1] != size:
            raise ValueError(
                f"past actions must be (B, T - 1, A={size}), got "
                f"{tuple(context.actions.shape)}"
            )

    def with_cost(self, cost: GoalCost) -> Self:
        """The same model, in place, with another default goal cost."""
        self.spec = replace(self.spec, cost=cost)
        return self

    def save_pretrained(self, path: str | Path, card: str) -> None:
        """Writes a checkpoint folder: config, safetensors and model card."""
        config = {
            "kind": "world_model",
            "spec": self.spec.to_json(),
            "encoder_hash": self.encoder.weights_hash,
            "history": self.history,
        }
        save_checkpoint(path, config, self.state_dict(), card)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> WorldModel:
        """Reads a checkpoint folder, in eval mode, on the CPU.

        Raises:
            CheckpointError: the folder is missing or damaged, a tensor is missing,
                extra or misshapen, or the encoder is not the one that the rest was
                trained on.
        """
        checkpoint = load_checkpoint(path)
        config = checkpoint.config
        if config.get("kind") != "world_model":
            raise CheckpointError(
                f"{path} holds a {config.get('kind')!r}, not a 'world_model'"
            )
        try:
            spec = WorldModelSpec.from_json(config["spec"])
            history, wanted = config["history"], config["encoder_hash"]
        except (KeyError, TypeError, WorldModelError, ValueError) as error:
            raise CheckpointError(
                f"{path}: config.json is not understood: {error}"
            ) from error
        model = cls(spec, history)
        checkpoint.load_into(model)
        found = model.encoder.weights_hash
        if found != wanted:
            raise CheckpointError(
                f"{path}: the predictor was trained on the encoder "
                f"{wanted[:12]}, but the folder holds {found[:12]}; "
                "use the encoder of that hash or train again"
            )
        return model.requires_grad_(False).eval()


def _alone(
    latents: Tensor, proprio: Tensor | None
) -> tuple[list[Tensor], list[Tensor] | list[None]]:
    """Each problem's latents (1, P, D) and proprio (1, S) in memory of its own."""
    ones = [one.clone() for one in latents.split(1)]
    if proprio is None:
        return ones, [None] * len(ones)
    return ones, [one.clone() for one in proprio.split(1)]
