"""The memory: learned on play, from what things turn out to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel.errors import WorldModelError
from worldmodel.memory import Memory
from worldmodel.predictors import ActionPredictor
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.loop import Job, OnStep, Schedule, fit


@dataclass(frozen=True)
class MemoryRecipe:
    """How the memory is learned, and what it learns from.

    Attributes:
        schedule: steps and learning rate.
        hidden: width of the hidden layers.
        alike: see `settled`, in the units of the distance's directions; 0 for no
            memory, and latents as the pictures tell them.
        within: see `settled` [control steps].
        remembers: whether the model remembers; otherwise only what predictor, distance
            and habit learn from is settled.
        windows: windows of play per step.
        window: moments T of a window; the first is believed as it is seen.
        seed: decides weights and batches.
    """

    schedule: Schedule
    hidden: int = 128
    alike: float = 0.12
    within: int = 10
    remembers: bool = True
    windows: int = 256
    window: int = 12
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.alike >= 0:
            raise ValueError(f"alike must be at least 0, got {self.alike}")
        for name in ("hidden", "within", "windows"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        if self.window < 2:
            raise ValueError(f"window must be at least 2 moments, got {self.window}")


@dataclass(frozen=True, eq=False)
class Play:
    """What the memory learns from.

    Attributes:
        seen: latents as the pictures tell them.
        settled: what `settled` made of them.
        actions: (N, A) of all rows.
    """

    seen: LatentEpisodes
    settled: LatentEpisodes
    actions: Tensor


def train_memory(
    recipe: MemoryRecipe,
    memory: Memory,
    predictor: ActionPredictor,
    play: Play,
    state_path: Path | None = None,
    on_step: OnStep | None = None,
) -> Memory:
    """Learns how far to trust what is seen; resumes from `state_path`.

    The memory goes through windows of play as it will go through an episode, each
    belief following from the last. Its targets know what came after.

    Args:
        recipe: schedule and batches.
        memory: to be trained, in place.
        predictor: says what is expected; it stays as it is.
        play: what was seen, and what it turned out to be.
        state_path: where the state of the training is kept.
        on_step: called with the steps done and the smoothed loss terms.

    Raises:
        WorldModelError: no episode is as long as a window.
    """
    torch.manual_seed(recipe.seed)
    seen = play.seen
    memory = memory.to(seen.latents.device)
    generator = torch.Generator().manual_seed(recipe.seed)
    begins = seen.rows[seen.last[seen.rows] - seen.rows >= recipe.window - 1]
    if len(begins) == 0:
        raise WorldModelError(
            f"memory.window is {recipe.window} moments, but no episode for training is "
            "as long; choose a shorter one"
        )

    def loss() -> dict[str, Tensor]:
        drawn = torch.randint(len(begins), (recipe.windows,), generator=generator)
        rows = begins[drawn][:, None] + torch.arange(recipe.window)
        pictures, truth = seen.latents[rows], play.settled.latents[rows]
        taken = play.actions[rows].to(pictures)
        beliefs = believe(memory, predictor, pictures, taken)
        places, wanted = memory.look(beliefs), memory.look(truth)
        error = F.smooth_l1_loss(places[:, 1:], wanted[:, 1:], beta=0.1)
        with torch.no_grad():
            untold = F.smooth_l1_loss(memory.look(pictures), wanted, beta=0.1)
        return {"total": error, "seen": untold}

    fit(Job(memory, loss, generator), recipe.schedule, state_path, on_step)
    return memory


def believe(
    memory: Memory, predictor: ActionPredictor, seen: Tensor, actions: Tensor
) -> Tensor:
    """Beliefs (B, T, D) that follow from one another; each differentiable by itself.

    Args:
        memory: weighs what is seen and what was expected.
        predictor: says what is expected.
        seen: (B, T, D) latents as pictures tell them.
        actions: (B, T, A), the action taken at each.
    """
    window = predictor.spec.window
    beliefs = [seen[:, 0]]
    for step in range(1, seen.shape[1]):
        past = slice(max(0, step - window), step)
        with torch.no_grad():
            known = torch.stack(beliefs[past], dim=1)
            expected = predictor(known, actions[:, past])[:, -1]
        beliefs.append(memory(seen[:, step], expected))
    return torch.stack(beliefs, dim=1)
