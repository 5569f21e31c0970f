"""The world model: encodes frames, predicts what actions do, measures goals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from worldmodel.action_spec import ActionSpec
from worldmodel.checkpoints.world_models import load_world_model, save_world_model
from worldmodel.costs.distances import LearnedDistances
from worldmodel.costs.ensemble import Cost, ensemble
from worldmodel.costs.goal_cost import GoalCost, RolloutCost
from worldmodel.encoders.frozen import FrozenEncoder, unfilled
from worldmodel.encoders.patches import check_frames
from worldmodel.history import Context, extended, require_context
from worldmodel.inference.batch_invariant import each_alone, each_tiled
from worldmodel.inference.copies import CachedRollout, InferenceCopies
from worldmodel.inputs import (
    require_candidates,
    require_film_actions,
    require_finite,
    require_goal,
    require_latents,
    require_past,
    require_proprio,
)
from worldmodel.model_spec import WorldModelSpec
from worldmodel.policy_prior import PolicyPrior, PriorProposals
from worldmodel.predictors import ActionPredictor, ErrorCovariance
from worldmodel.projectors.projector import Projector
from worldmodel.projectors.proprio_correction import ProprioCorrection


class WorldModel(nn.Module):
    """A frozen encoder and what plans on top of it.

    Attributes:
        spec: architecture and meaning.
        history: how it was made, as plain JSON (dataset, seeds, recipe, results).
        batch_invariant: whether, on a CPU, each problem of a batch is computed alone,
            so bitwise the same in every batch. Without, a batch of twenty is three
            times as fast.
        precision: of the matrix products of planning; encoding and whatever is
            differentiated are in float32.
    """

    def __init__(
        self, spec: WorldModelSpec, history: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.spec = spec
        self.history = dict(history or {})
        self.batch_invariant = True
        self.precision = torch.float32
        self._copies: InferenceCopies | None = None
        self._proprio_dims = spec.proprio_dim, spec.proprio_correction
        self.encoder = FrozenEncoder(unfilled(spec.encoder))
        self.projector = Projector(spec.projector)
        self.predictor = ActionPredictor(spec.predictor)
        others = (ActionPredictor(spec.predictor) for _ in range(spec.predictors - 1))
        self.other_predictors = nn.ModuleList(others)
        self.distances = LearnedDistances.of(spec.distances, spec.projector.dim)
        prior, estimator = spec.policy_prior, spec.proprio_estimator
        self.policy_prior = PolicyPrior(prior) if prior else None
        self.proprio_estimator = Projector(estimator) if estimator else None
        dim, size = spec.projector.dim, spec.proprio_correction
        self.proprio_correction = ProprioCorrection(dim, size) if size else None
        self.error_covariance = ErrorCovariance(dim) if spec.error_covariance else None

    def __getstate__(self) -> dict[str, Any]:
        """What a copy takes along: not the inference copies, it makes its own."""
        return {**self.__dict__, "_copies": None}

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
        """Past latents that `remember` keeps: those that one block looks back on."""
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
        return self._projected(self.encoder.encode(frames))[:, :, None]

    @torch.no_grad()
    def encode_newest(self, clip: Tensor) -> Tensor:
        """Planning latents (B, 1, D) of each clip's last frame, as `encode` has them.

        Args:
            clip: uint8 (B, T, height, width, 3), see `FrozenEncoder.newest`.
        """
        check_frames(clip, self.height, self.width)
        return each_alone(self.batch_invariant, self._newest, clip)

    def _newest(self, clip: Tensor) -> Tensor:
        return self._projected(self.encoder.newest(clip))[:, None]

    def _projected(self, tokens: Tensor) -> Tensor:
        """Tokens (..., P, token_dim) -> latents (..., D)."""
        latents = self.projector(tokens)
        if self.proprio_estimator is None or self.proprio_correction is None:
            return latents
        return self.proprio_correction.telling(latents, self.proprio_estimator(tokens))

    def context(
        self, latents: Tensor, actions: Tensor, proprio: Tensor | None = None
    ) -> Context:
        """The past as `predict` and `goal_cost` take it, of a whole film.

        Args:
            latents: (B, T, P, D) of `encode` or `encode_newest`.
            actions: (B, T - 1, A) between them.
            proprio: (B, T, S) at them, see `corrected`; None leaves them as they are.

        Raises:
            ValueError: a shape that the model does not take, a number that is none,
                or proprio with fewer dimensions than the correction takes.
        """
        require_past(latents, actions, proprio, *self._proprio_dims)
        require_context(Context(latents, actions), self.spec.predictor)
        if proprio is not None:
            each = zip(latents.unbind(1), proprio.unbind(1), strict=True)
            latents = torch.stack([self.corrected(*moment) for moment in each], dim=1)
        return Context(latents, actions)

    def remember(
        self,
        past: Context | None,
        action: Tensor | None,
        latents: Tensor,
        proprio: Tensor | None = None,
    ) -> Context:
        """The past with the present, step by step through an episode.

        What is older than prediction needs falls away.

        Args:
            past: what this gave a moment ago; None at the start.
            action: (B, A) taken since then; None at the start.
            latents: (B, P, D) of `encode_newest`.
            proprio: (B, S) measured now, which corrects the latents; or None.

        Raises:
            ValueError: a shape that the model does not take, a number that is none,
                or a past comes without the action since.
        """
        spec = self.spec.predictor
        require_latents(latents, spec.latent_dim)
        if proprio is not None:
            require_proprio(proprio, len(latents), *self._proprio_dims)
            latents = self.corrected(latents, proprio)
        return extended(past, action, latents, spec.action_size).newest(spec.window)

    def begun(self, past: Context, rows: Tensor) -> Context:
        """The past of episodes of which some, bool (B,), begin now, with a new goal."""
        return past.begun(rows)

    @torch.no_grad()
    def corrected(self, latents: Tensor, proprio: Tensor) -> Tensor:
        """Latents (B, P, D) corrected by the proprio (B, S) measured with them."""
        if self.proprio_correction is None:
            return latents
        felt, correct = proprio[:, None], self.proprio_correction
        return each_alone(self.batch_invariant, correct, latents, felt)

    def predict(self, context: Context, actions: Tensor) -> Tensor:
        """Latents that actions lead to; differentiable in the actions.

        Args:
            context: the past of B problems.
            actions: (B, N, H, A) in [-1, 1].

        Returns:
            (B, N, H, 1, D), the latent after each action.
        """
        require_candidates(actions, len(context.latents), self.action_spec.step_size)
        require_finite("actions", actions)
        return self.rollout(context)(actions)

    def rollout(self, context: Context, predictor: int = 0) -> CachedRollout:
        """Maps actions (B, N, H, A) to what one predictor expects, (B, N, H, 1, D)."""
        require_context(context, self.spec.predictor)
        own, copies = self._predictors()[predictor], self.inference_copies()
        return CachedRollout(own, copies.predictors[predictor], context)

    def _predictors(self) -> tuple[ActionPredictor, ...]:
        return self.predictor, *cast(Iterable[ActionPredictor], self.other_predictors)

    def inference_copies(self) -> InferenceCopies:
        """What planning computes with, copied anew where weights have changed."""
        parts = self._predictors(), self.distances, self.policy_prior, self.precision
        if self._copies is None or not self._copies.is_of(*parts):
            self._copies = InferenceCopies.of(*parts)
        return self._copies

    def goal_cost(
        self, context: Context, goal: Tensor, kind: GoalCost | None = None
    ) -> Cost:
        """The planning cost toward goal latents (B, P, D), a `CostFn`."""
        require_context(context, self.spec.predictor)
        require_goal(goal, (context.latents.shape[0], *context.latents.shape[2:]))
        require_past(context.latents, context.actions, None, 0, 0)
        weights, learned = kind or self.spec.cost, self.distances
        fast = self.inference_copies().distances

        def one(predictor: int, past: Context, goals: Tensor) -> RolloutCost:
            distance = weights.toward(goals, past, learned, fast)
            return RolloutCost(self.rollout(past, predictor), distance)

        each = [partial(one, index) for index in range(len(self._predictors()))]
        tiled = [each_tiled(self.batch_invariant, c, context, goal) for c in each]
        return ensemble(tiled, weights.judged)

    def proposals(self, context: Context, goal: Tensor) -> PriorProposals | None:
        """What the policy prior would do toward goals (B, P, D); None without one."""
        fast, alone = self.inference_copies(), self.batch_invariant
        if fast.policy_prior is None:
            return None
        require_goal(goal, (context.latents.shape[0], *context.latents.shape[2:]))
        first, steps = fast.predictors[0], fast.distances.temporal
        return PriorProposals(fast.policy_prior, first, context, goal, alone, steps)

    def surprise(
        self, frames: Tensor, actions: Tensor, proprio: Tensor | None = None
    ) -> Tensor:
        """How far each frame is from what was expected, (B, T - 1).

        The squared Mahalanobis distance of `prediction_errors`, over D, by their
        covariance on ordinary play: 1 on the average there. Where a model does not know
        that (`error_covariance` is None), their mean square, in units of latents.
        """
        errors = self.prediction_errors(frames, actions, proprio)
        if self.error_covariance is None:
            return errors.square().mean(-1)
        return self.error_covariance(errors)

    @torch.no_grad()
    def prediction_errors(
        self, frames: Tensor, actions: Tensor, proprio: Tensor | None = None
    ) -> Tensor:
        """What was seen minus what was expected a step before, (B, T - 1, D).

        Args:
            frames: uint8 (B, T, height, width, 3), T at least 2.
            actions: (B, T - 1, A), the action between each two.
            proprio: (B, T, S) measured with the frames, which corrects latents as in
                training; without it errors do not compare with those of play.
        """
        check_frames(frames, self.height, self.width)
        require_film_actions(actions, frames.shape, self.spec.predictor.action_size)
        latents = self.context(self.encode(frames), actions, proprio).latents[:, :, 0]
        return latents[:, 1:] - self.predictor(latents[:, :-1], actions)

    def save_pretrained(self, path: str | Path, card: str) -> None:
        """Writes a checkpoint folder: config, safetensors and model card."""
        save_world_model(self, self.spec, self.history, path, card)

    @classmethod
    def from_pretrained(
        cls, path: str | Path, encoder: str | Path | None = None
    ) -> WorldModel:
        """Reads a checkpoint folder, in eval mode, on the CPU; see `load_world_model`.

        Args:
            path: the folder.
            encoder: where a published encoder lies now; None for where it lay then.
        """
        return load_world_model(path, WorldModelSpec, cls, encoder)
