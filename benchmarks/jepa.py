"""A video JEPA on a machine that is lent for minutes: play, pretraining, probes.

    python -m benchmarks.jepa --out runs/jepa --minutes 8 --device cuda

records play on all cores while the GPU compiles, trains `VideoJEPA` until time is up,
and leaves `encoder/`, `rest.safetensors` (projector and the other heads), `log.jsonl`
and `probes.json`: what latents tell of gripper and cube, in centimetres and degrees, on
held-out episodes.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.jepa_play import SIDE, PlayArrays, play_spec
from worldmodel.checkpoints.encoders import save_encoder
from worldmodel.data import FrameCache, Split, SplitRule
from worldmodel.encoders import VideoViTSpec, transformer
from worldmodel.evaluation.scene_probes import Errors, Scene, SceneProbes
from worldmodel.training.augment import Augment
from worldmodel.training.jepa import Batches, JEPARecipe, train_jepa
from worldmodel.training.loop import Schedule, autocast
from worldmodel.training.objectives.video_jepa import VideoJEPA, VideoJEPASpec

HEAD_S = 20.0  # for the last probe and for writing [s]
FIT, HELD = 12_000, 4000  # moments of a probe
CHUNK = 1000
WARM = 8  # batches by which every shape has been compiled


def main() -> None:
    """Records, trains, probes."""
    options = _options()
    begun = time.monotonic()
    recipe = _recipe(options, 1.0)
    device = torch.device(options.device)
    play = PlayArrays(
        options.arrays, options.episodes, options.play, options.workers, options.seed
    )
    if options.compile:
        torch._dynamo.config.recompile_limit = 64
        block = transformer.Block
        block.forward = torch.compile(block.forward, dynamic=False)
        _warm(recipe, device)
    frames = play.finish()
    pictures = torch.from_numpy(np.asarray(frames.frames)).to(device)
    _say(begun, f"{len(frames.episodes)} episodes, {len(pictures)} frames")
    left = 60 * options.minutes - (time.monotonic() - begun) - HEAD_S
    recipe = _recipe(options, left)
    options.out.mkdir(parents=True, exist_ok=True)
    with open(options.out / "log.jsonl", "w") as log:

        def on_step(step: int, terms: dict[str, float]) -> None:
            if step % options.every == 0:
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
    _say(begun, f"results are in {options.out}")


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
    firsts = frames.offsets[np.searchsorted(frames.offsets, rows, "right") - 1]
    before = rows if still else np.maximum(rows - 1, firsts)
    pairs = torch.from_numpy(np.stack((before, rows), axis=1)).to(pictures.device)
    with autocast(device):
        parts = [model.encode(pictures[some].to(device)) for some in pairs.split(CHUNK)]
    return torch.cat(parts).cpu().numpy()


def _rows(frames: FrameCache, split: Split, count: int) -> np.ndarray:
    holds = SplitRule().holds(split, frames.episodes).repeat(frames.lengths)
    rows = np.flatnonzero(holds)
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]


def _warm(recipe: JEPARecipe, device: torch.device) -> None:
    """Compiles the encoder for the shapes of a batch, on grey pictures."""
    rows = recipe.windows
    frames = FrameCache(
        path=Path(),
        spec=play_spec(),
        fingerprint="",
        frames=np.full((rows * 8, SIDE, SIDE, 3), 128, np.uint8),
        actions=np.zeros((rows * 8, 5), np.float32),
        proprio=np.random.default_rng(0).normal(size=(rows * 8, 20)),
        sim_state=np.zeros((rows * 8, 1)),
        episodes=np.arange(rows),
        offsets=np.arange(rows + 1) * 8,
    )
    model = VideoJEPA(recipe.model, 5).to(device)
    batches, generator = Batches(recipe, frames, device), torch.Generator()
    for _ in range(WARM):
        with autocast(device):
            terms = model.loss(batches.draw(generator), generator)
        terms["total"].backward()


def _recipe(options: argparse.Namespace, seconds: float) -> JEPARecipe:
    encoder = VideoViTSpec(
        patch=options.patch,
        dim=options.dim,
        depth=options.depth,
        heads=options.dim // 32,
        points=32,
    )
    return JEPARecipe(
        VideoJEPASpec(encoder, proprio=6, targets=32 * 8 // options.patch),
        Schedule(10**7, options.learning_rate, warmup=300, seconds=seconds),
        Augment(0.5, 0.5),
        windows=options.windows,
        clips=options.windows // 4,
        seed=options.seed,
    )


def _save(model: VideoJEPA, frames: FrameCache, recipe: JEPARecipe, out: Path) -> None:
    history = {"frames": len(frames.frames), "recipe": asdict(recipe)}
    card = f"# Encoder\n\nA video JEPA, of {len(frames.frames)} frames of play.\n"
    save_encoder(out / "encoder", model.encoder.cpu(), history, card)
    rest = {k: v for k, v in model.state_dict().items() if not k.startswith("masked.")}
    save_file(
        {k: v.cpu().contiguous() for k, v in rest.items()}, out / "rest.safetensors"
    )
    model.to(next(iter(rest.values())).device)


def _say(begun: float, text: str) -> None:
    print(f"{time.monotonic() - begun:6.1f} s  {text}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8.0, help="all of it")
    parser.add_argument("--play", type=float, default=60.0, help="recording [s]")
    parser.add_argument("--episodes", type=int, default=7000)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--arrays", type=Path, default=Path("/dev/shm/play"))
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--windows", type=int, default=1024)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--patch", type=int, default=8)
    parser.add_argument("--dim", type=int, default=192)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=50, help="steps to a line")
    return parser.parse_args()


if __name__ == "__main__":
    main()
