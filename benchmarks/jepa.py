"""A world model on a machine that is lent for minutes: play, pretraining, planning.

    python -m benchmarks.jepa --out runs/jepa --minutes 8 --device cuda

records play on all cores, trains `VideoJEPA` until time is up,
and leaves `encoder/` with its projector, `log.jsonl` and `probes.json`: what latents
tell of gripper and cube, in centimetres and degrees, on held-out episodes. With
`--plan STEPS` predictor, goal distance and policy prior learn then, and `model/` plans.
Killed by the clock or not, what is written is whole.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from benchmarks.jepa_play import PlayArrays
from worldmodel.checkpoints.encoders import save_encoder
from worldmodel.data import FrameCache, Split, SplitRule
from worldmodel.encoders import FrozenEncoder, VideoViTSpec
from worldmodel.evaluation.scene_probes import Errors, Scene, SceneProbes
from worldmodel.model import WorldModel
from worldmodel.training.augment import Augment
from worldmodel.training.jepa import JEPARecipe, train_jepa
from worldmodel.training.loop import Schedule
from worldmodel.training.objectives.clips import stand_still
from worldmodel.training.objectives.video_jepa import (
    JEPAWeights,
    VideoJEPA,
    VideoJEPASpec,
)
from worldmodel.training.planning import PlanningRecipe
from worldmodel.training.projector import ProjectorRecipe
from worldmodel.training.recipe import Projectors, Recipe, Run, train_world_model
from worldmodel.training.tokens import TokenCache
from worldmodel.training.updates import autocast

HEAD_S = 20.0  # for the last probe and for writing [s]
PLAN_STEP_S = 0.008  # of a step of what plans, at most [s]
FIT, HELD = 12_000, 4000  # moments of a probe
CHUNK = 1000


def main() -> None:
    """Records, trains, probes."""
    options = _options()
    begun = time.monotonic()
    device = torch.device(options.device)
    play = PlayArrays(options.arrays)
    if options.play:
        play.record(options.episodes, options.play, options.workers, options.seed)
    frames = play.finish()
    pictures = torch.from_numpy(np.asarray(frames.frames)).to(device)
    _say(begun, f"{len(frames.episodes)} episodes, {len(pictures)} frames")
    left = 60 * options.minutes - (time.monotonic() - begun) - HEAD_S
    recipe = _recipe(options, max(1.0, left - options.plan * PLAN_STEP_S))
    options.out.mkdir(parents=True, exist_ok=True)
    with open(options.out / "log.jsonl", "w") as log:

        def on_step(step: int, terms: dict[str, float]) -> None:
            if step % options.every == 0 or step < options.every:
                row = {"step": step, "seconds": time.monotonic() - begun, **terms}
                log.write(json.dumps(row) + "\n")
                _say(begun, f"step {step}: {terms['total']:.3f}")

        model = train_jepa(recipe, frames, device, None, on_step, pictures)
    _say(begun, "trained")
    _save(model, frames, recipe, options.out)
    found = probes(model, frames, pictures)
    (options.out / "probes.json").write_text(json.dumps(found, indent=1))
    for name, (root, median) in found.items():
        print(f"{name:24} {root:6.2f} root mean square, {median:6.2f} median")
    if options.plan:
        _plan(model, frames, pictures, options.plan).save_pretrained(
            options.out / "model", f"# World model\n\nOf {len(pictures)} frames.\n"
        )
        _say(begun, "plans")
    _say(begun, f"results are in {options.out}")


@dataclass(frozen=True)
class LiveTokens:
    """Tokens that are computed when they are asked for, see `TokenCache`."""

    encoder: FrozenEncoder
    frames: FrameCache
    pictures: Tensor
    still: float

    @property
    def tokens(self) -> np.ndarray:
        """Stands for as many frames."""
        return self.frames.actions

    def at(self, rows: Tensor) -> Tensor:
        """Tokens (N, P, D) of frame rows (N,)."""
        generator = torch.Generator().manual_seed(int(rows[0]))
        stands = stand_still(len(rows), self.still, generator)
        pairs = _pairs(self.frames, rows.numpy())
        pairs[:, 0] = torch.where(stands, pairs[:, 1], pairs[:, 0])
        device = next(self.encoder.parameters()).device
        with autocast(device):
            parts = pairs.to(self.pictures.device).split(CHUNK)
            return torch.cat(
                [self.encoder.newest(self.pictures[p].to(device)) for p in parts]
            )


@dataclass(frozen=True)
class LiveRun(Run):
    """Stages 2 to 5 with pictures in memory; nothing encoded is kept on disk."""

    pictures: Tensor = field(default_factory=lambda: torch.empty(0))

    def encoded(
        self, encoder: FrozenEncoder, frames: FrameCache, still: float
    ) -> TokenCache:
        """Tokens as `TokenCache` gives them."""
        live = LiveTokens(encoder.to(self.device), frames, self.pictures, still)
        return cast(TokenCache, live)


def _plan(
    model: VideoJEPA, frames: FrameCache, pictures: Tensor, steps: int
) -> WorldModel:
    """Predictor, goal distance and policy prior on the trained latents."""
    device = next(model.parameters()).device
    recipe = Recipe(
        ProjectorRecipe(Schedule(1), dim=model.spec.latent_dim),
        PlanningRecipe(Schedule(steps, 1.5e-3)),
    )
    with tempfile.TemporaryDirectory() as folder:
        run = LiveRun(Path(folder), device, pictures=pictures)
        encoder, given = FrozenEncoder(model.encoder), Projectors(model.projector)
        return train_world_model(recipe, encoder, frames, run, given)


@torch.no_grad()
def probes(model: VideoJEPA, frames: FrameCache, pictures: Tensor) -> Errors:
    """What latents tell linearly, of moments and of pictures that stand still.

    Args:
        model: trained.
        frames: play; probes are fitted on its training split, held out is the rest.
        pictures: all of them, on the model's device.
    """
    fit, held = _rows(frames, "train", FIT), _rows(frames, "validation", HELD)
    known, true = (Scene.of(frames.sim_state[rows]) for rows in (fit, held))
    read = SceneProbes(_latents(model, frames, pictures, fit, 0), known)
    found = read.errors(_latents(model, frames, pictures, held, 0), true)
    still = read.errors(_latents(model, frames, pictures, held, 1), true)
    return found | {f"still_{name}": errors for name, errors in still.items()}


def _latents(
    model: VideoJEPA, frames: FrameCache, pictures: Tensor, rows: np.ndarray, still: int
) -> np.ndarray:
    device = next(model.parameters()).device
    pairs = _pairs(frames, rows).to(pictures.device)
    if still:
        pairs[:, 0] = pairs[:, 1]
    with autocast(device):
        parts = [model.encode(pictures[some].to(device)) for some in pairs.split(CHUNK)]
    return torch.cat(parts).cpu().numpy()


def _pairs(frames: FrameCache, rows: np.ndarray) -> Tensor:
    """Rows (N, 2) of frames and of those before them in their episodes."""
    firsts = frames.offsets[np.searchsorted(frames.offsets, rows, "right") - 1]
    return torch.from_numpy(np.stack((np.maximum(rows - 1, firsts), rows), axis=1))


def _rows(frames: FrameCache, split: Split, count: int) -> np.ndarray:
    holds = SplitRule().holds(split, frames.episodes).repeat(frames.lengths)
    rows = np.flatnonzero(holds)
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]


def _recipe(options: argparse.Namespace, seconds: float) -> JEPARecipe:
    encoder = VideoViTSpec(
        patch=options.patch,
        dim=options.dim,
        depth=options.depth,
        heads=options.dim // 32,
        points=32,
    )
    return JEPARecipe(
        VideoJEPASpec(encoder, JEPAWeights(sigreg=options.sigreg), proprio=6),
        Schedule(10**7, options.learning_rate, warmup=300, seconds=seconds),
        Augment(options.colour, options.shift),
        windows=options.windows,
        clips=max(1, options.windows // 8),
        seed=options.seed,
    )


def _save(model: VideoJEPA, frames: FrameCache, recipe: JEPARecipe, out: Path) -> None:
    history = {"frames": len(frames.frames), "recipe": asdict(recipe)}
    card = f"# Encoder\n\nA video JEPA, of {len(frames.frames)} frames of play.\n"
    device = next(model.parameters()).device
    model.cpu()
    save_encoder(out / "encoder", model.encoder, history, card, model.projector)
    model.to(device)


def _say(begun: float, text: str) -> None:
    print(f"{time.monotonic() - begun:6.1f} s  {text}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8.0, help="all of it")
    parser.add_argument(
        "--play", type=float, default=60.0, help="recording [s]; 0 where it is there"
    )
    parser.add_argument("--plan", type=int, default=0, help="steps of what plans")
    parser.add_argument("--episodes", type=int, default=7000)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--arrays", type=Path, default=Path("/dev/shm/play"))
    parser.add_argument("--windows", type=int, default=64)
    parser.add_argument("--sigreg", type=float, default=0.01, help="its weight")
    parser.add_argument("--colour", type=float, default=0.0, help="share of windows")
    parser.add_argument("--shift", type=float, default=0.0, help="share of windows")
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--patch", type=int, default=16)
    parser.add_argument("--dim", type=int, default=192)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=50, help="steps to a line")
    return parser.parse_args()


if __name__ == "__main__":
    main()
