"""Plans with V-JEPA 2-AC: two pictures and the robot's state in, commands out.

    python -m examples.vjepa2_ac_plan
    python -m examples.vjepa2_ac_plan --weights vjepa2-ac-vitg.pt \
        --now now.png --goal goal.png --state 0.4 0 0.3 3.14 0 0 0

Without weights it writes and reads a tiny random model in the published layout, which
plans nonsense. docs/vjepa2_ac.md says what goes in.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from planners import CEM
from worldmodel.checkpoints.vjepa2_ac import load_vjepa2_ac, published
from worldmodel.data.pictures import resized
from worldmodel.encoders import Reading, load_encoder
from worldmodel.predictors import PatchPredictor, PatchPredictorSpec
from worldmodel.vjepa2_ac import VJEPA2AC, SearchSpace

TINY = PatchPredictorSpec(
    rows=2, columns=2, token_dim=24, width=32, depth=2, heads=2, hidden=128
)
TINY_READING = Reading(crop=32, resize=32, heads=2)
PUBLISHED_READING = Reading(resize=256)  # the whole square


def search(space: SearchSpace, samples: int, l1_ball: bool) -> CEM:
    """Gives the published search: in the box of its code, or the ball of its paper."""
    return CEM(
        samples=samples,
        elites=10,
        iterations=10,
        std=space.std,
        min_std=0.0,
        mean_momentum=0.15,
        std_momentum=0.15,
        kept=0,
        answer="mean",
        try_mean=False,
        ddof=1,
        l1_dims=3 if l1_ball else 0,
    )


def load(
    weights: Path, space: SearchSpace, spec: PatchPredictorSpec, reading: Reading
) -> tuple[VJEPA2AC, int]:
    """Gives the model in a file, and the side of the pictures that it takes [px]."""
    encoder = load_encoder(weights, reading)
    model = VJEPA2AC(encoder.newest, load_vjepa2_ac(weights, spec), space)
    return model, encoder.spec.height


def write_tiny(path: Path) -> None:
    """Writes a tiny random model in the published layout."""
    dim, hidden = TINY.token_dim, 4 * TINY.token_dim
    shapes = {"patch_embed.proj": (dim, 3, 2, 16, 16), "norm": (dim,)}
    shapes |= {"blocks.0.norm1": (dim,), "blocks.0.norm2": (dim,)}
    shapes |= {"blocks.0.attn.qkv": (3 * dim, dim), "blocks.0.attn.proj": (dim, dim)}
    shapes |= {"blocks.0.mlp.fc1": (hidden, dim), "blocks.0.mlp.fc2": (dim, hidden)}
    generator = torch.Generator().manual_seed(0)
    encoder: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        weight = torch.ones(shape)  # of a norm
        if len(shape) > 1:
            weight = torch.randn(shape, generator=generator) * shape[1] ** -0.5
        encoder[f"module.backbone.{name}.weight"] = weight
        encoder[f"module.backbone.{name}.bias"] = torch.zeros(shape[0])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        predictor = published(PatchPredictor(TINY))
    named = {f"module.{name}": tensor for name, tensor in predictor.items()}
    torch.save({"encoder": encoder, "predictor": named, "epoch": 0}, path)


def plan(
    model: VJEPA2AC, planner: CEM, frames: Tensor, state: Tensor, horizon: int
) -> tuple[Tensor, float]:
    """Gives the commands (H, 7) [m, rad, closedness] and what their end costs.

    Args:
        model: V-JEPA 2-AC.
        planner: searches from zeros.
        frames: (2, height, width, 3) uint8, the picture of now and the goal's.
        state: (7,) of the robot now.
        horizon: steps H, a quarter of a second each.
    """
    now, goal = model.encode(frames[None]).split(1, dim=1)
    cost = model.goal_cost(now, state[None, None], goal[:, 0])
    found = planner.plan(cost, torch.zeros(1, horizon, 4), torch.tensor([0]))
    return model.space.commands(found.actions)[0], float(found.cost)


def picture(path: Path | None, side: int, seed: int) -> np.ndarray:
    """Gives the largest square in a picture's middle, (side, side, 3); or noise."""
    if path is None:
        return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    square = min(pixels.shape[:2])
    top, left = ((length - square) // 2 for length in pixels.shape[:2])
    cut = pixels[top : top + square, left : left + square]
    return resized(np.ascontiguousarray(cut), side, side)


def main(arguments: Sequence[str] | None = None) -> Tensor:
    """Plans, and prints the commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--now", type=Path, help="picture of now")
    parser.add_argument("--goal", type=Path, help="picture of the goal")
    parser.add_argument(
        "--state", type=float, nargs=7, default=[0.4, 0, 0.3, 3, 0, 0, 0]
    )
    parser.add_argument("--radius", type=float, default=0.075, help="of a step [m]")
    parser.add_argument("--l1-ball", action="store_true", help="as the paper has it")
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--horizon", type=int, default=2)
    options = parser.parse_args(arguments)
    space = SearchSpace(radius=options.radius)
    if options.weights is None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tiny.pt"
            write_tiny(path)
            model, side = load(path, space, TINY, TINY_READING)
    else:
        official = PatchPredictorSpec()
        model, side = load(options.weights, space, official, PUBLISHED_READING)
    pictures = (picture(options.now, side, 0), picture(options.goal, side, 1))
    planner = search(space, options.samples, options.l1_ball)
    frames, state = torch.from_numpy(np.stack(pictures)), torch.tensor(options.state)
    commands, cost = plan(model, planner, frames, state, options.horizon)
    print(f"expected distance of tokens at the end: {cost:.4f}")  # noqa: T201
    for step, command in enumerate(commands.tolist()):
        dx, dy, dz, _, _, _, gripper = command
        text = f"{dx:+.4f} {dy:+.4f} {dz:+.4f} m, gripper {gripper:+.2f}"
        print(f"step {step}: {text}")  # noqa: T201
    return commands


if __name__ == "__main__":
    main()
