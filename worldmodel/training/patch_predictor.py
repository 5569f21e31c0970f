"""V-JEPA 2-AC's training: a predictor of patch tokens, from nothing or further."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from worldmodel.encoders import PublishedSpec
from worldmodel.errors import WorldModelError
from worldmodel.predictors import PatchPredictor, PatchPredictorSpec, pose
from worldmodel.predictors.patch_blocks import PatchBlock
from worldmodel.predictors.patch_predictor import normalised
from worldmodel.training.chance import on_device, some_of
from worldmodel.training.recorded import LossTerms
from worldmodel.training.tokens import TokenCache
from worldmodel.training.updates import Job

INITIAL_STD = 0.02  # as published


@dataclass(frozen=True)
class PatchPredictorRecipe:
    """How a predictor of patch tokens is trained; the defaults are the published ones.

    Attributes:
        windows: windows per step.
        frames: frames T of a window, 4 a second where the published weights go on.
        rolled: steps of the roll-out that is learned beside single steps.
    """

    windows: int = 8
    frames: int = 8
    rolled: int = 2

    def __post_init__(self) -> None:
        if self.windows < 1:
            raise WorldModelError(f"windows must be at least 1, got {self.windows}")
        if not 1 <= self.rolled < self.frames:
            raise WorldModelError(
                f"rolled must be in [1, frames={self.frames}), got {self.rolled}"
            )


@dataclass(frozen=True)
class PatchPredictorSizes:
    """Of a predictor's transformer; the defaults are V-JEPA 2-AC's.

    Attributes:
        width: of a token in it.
        depth: number of blocks.
        heads: attention heads.
        hidden: width of a block's MLP.
    """

    width: int = 1024
    depth: int = 24
    heads: int = 16
    hidden: int = 4096

    def spec(self, encoder: PublishedSpec) -> PatchPredictorSpec:
        """Gives the predictor of an encoder's patch tokens, with poses."""
        side = encoder.preparation.crop // encoder.patch
        return PatchPredictorSpec(
            rows=side, columns=side, token_dim=encoder.dim, **vars(self)
        )


@dataclass(frozen=True, eq=False)
class PatchEpisodes:
    """Stored tokens of recorded episodes, one after the other.

    Attributes:
        tokens: (N, P, D) of all frames, as the encoder gives them, in any precision;
            or kept on disk, and read window by window.
        states: (N, 7) of the robot at these frames; see `worldmodel.predictors.pose`.
        lengths: frames of each episode; N in sum.
        held_out: places of the episodes that nothing is learned from.
    """

    tokens: Tensor | TokenCache
    states: Tensor
    lengths: tuple[int, ...]
    held_out: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        count = sum(self.lengths)
        shapes = (tuple(self.tokens.shape), tuple(self.states.shape))
        if len(shapes[0]) != 3 or shapes[0][0] != count:
            raise WorldModelError(f"tokens must be (N={count}, P, D), got {shapes[0]}")
        if shapes[1] != (count, pose.SIZE):
            raise WorldModelError(f"states must be (N={count}, 7), got {shapes[1]}")

    def begins(self, frames: int) -> Tensor:
        """Gives the rows that windows of so many frames can begin at.

        Raises:
            WorldModelError: no episode that is learned from is as long.
        """
        rows, first, longest, apart = [], 0, 0, set(self.held_out)
        for place, length in enumerate(self.lengths):
            if place not in apart:
                rows.append(torch.arange(first, first + max(0, length - frames + 1)))
                longest = max(longest, length)
            first += length
        found = torch.cat(rows) if rows else torch.arange(0)
        if not len(found):
            raise WorldModelError(
                f"frames is {frames}, but the longest episode has {longest}; take a "
                "smaller number, or longer episodes"
            )
        return found.to(self.states.device)

    def windows(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Gives tokens (B, T, P, D) and states (B, T, 7) of rows (B, T)."""
        if isinstance(self.tokens, TokenCache):
            return self.tokens.at(rows.cpu()), self.states[rows]
        return self.tokens[rows], self.states[rows]


def initialise(predictor: PatchPredictor, generator: torch.Generator) -> None:
    """Draws weights as published: N(0, 0.02), smaller where a deep block writes."""
    std = INITIAL_STD
    for module in predictor.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(
                module.weight, std=std, a=-2.0, b=2.0, generator=generator
            )
            nn.init.zeros_(module.bias)
    with torch.no_grad():
        for depth, block in enumerate(predictor.predictor_blocks, start=1):
            assert isinstance(block, PatchBlock)
            block.attn.proj.weight.div_((2 * depth) ** 0.5)
            block.mlp.fc2.weight.div_((2 * depth) ** 0.5)


def patch_loss(
    predictor: PatchPredictor, tokens: Tensor, states: Tensor, rolled: int
) -> LossTerms:
    """Mean absolute errors of single steps from true tokens, and of a roll-out.

    The roll-out begins at the first frame and is told the true states. Assran et al.
    2025, and its code.

    Args:
        predictor: learns.
        tokens: (B, T, P, D), normalised.
        states: (B, T, 7).
        rolled: steps of the roll-out, in [1, T - 1].
    """
    actions, wanted = pose.between(states), tokens[:, 1:]
    forced = predictor(tokens[:, :-1], actions, states[:, :-1])
    seen = torch.cat((tokens[:, :1], forced[:, :1]), dim=1)
    for end in range(2, rolled + 1):
        after = predictor(seen, actions[:, :end], states[:, :end])[:, -1:]
        seen = torch.cat((seen, after), dim=1)
    steps = (forced - wanted).abs().mean()
    rollout = (seen[:, 1:] - wanted[:, :rolled]).abs().mean()
    return {"total": steps + rollout, "steps": steps, "rollout": rollout}


def patch_predictor_job(
    recipe: PatchPredictorRecipe,
    predictor: PatchPredictor,
    episodes: PatchEpisodes,
    generator: torch.Generator,
) -> Job:
    """Learns `patch_loss` on windows of stored tokens; for `training.loop.fit`.

    Args:
        recipe: how.
        predictor: learns, in place; what nothing uses of it stays as it is.
        episodes: tokens and states; what is drawn goes to the predictor's device.
        generator: source of randomness.

    Raises:
        WorldModelError: no episode is as long as a window, or sizes do not fit.
    """
    spec = predictor.spec
    frame = (spec.patches, spec.token_dim)
    if tuple(episodes.tokens.shape[1:]) != frame:
        raise WorldModelError(
            f"tokens must be (N, P, D) = (N, {frame[0]}, {frame[1]}), got "
            f"{tuple(episodes.tokens.shape)}"
        )
    sizes = (spec.action_size, spec.state_size)
    if sizes != (pose.SIZE, pose.SIZE):
        raise WorldModelError(
            f"action_size and state_size must be {pose.SIZE}, as the poses of "
            f"V-JEPA 2-AC, got {sizes[0]} and {sizes[1]}"
        )
    predictor.require_frames(recipe.frames)
    begins = episodes.begins(recipe.frames)
    steps = torch.arange(recipe.frames, device=begins.device)
    predictor.requires_grad_(True)
    if spec.extrinsics_size:
        predictor.extrinsics_encoder.requires_grad_(False)
    device = predictor.predictor_embed.weight.device

    def draw() -> tuple[Tensor, Tensor]:
        chance = on_device(generator, begins.device)
        first = some_of(begins, recipe.windows, chance)
        tokens, states = episodes.windows(first[:, None] + steps)
        return tokens.to(device), states.to(device)

    def loss(batch: tuple[Tensor, Tensor]) -> LossTerms:
        tokens, states = batch
        return patch_loss(predictor, normalised(tokens), states, recipe.rolled)

    return Job(predictor, loss, draw=draw)
