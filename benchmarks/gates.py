"""Gates (b) to (d): the probe, open-loop imagination, the cost's ranking, the axes.

python -m benchmarks.gates --model weights/reference --data data/play
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from envs.scene import CUBE_HALF_SIDE_M, TRAY_HIGH_M, TRAY_LOW_M
from envs.simulation import ACTION_NAMES, Quantities
from worldmodel.costs.goal_cost import single_costs
from worldmodel.data import FrameCache, LeRobotDataset, Windows
from worldmodel.encoders import VideoViT
from worldmodel.evaluation.gates import (
    axis_response,
    cost_ranking,
    open_loop,
    quantities_of,
    shuffle_actions,
    wrong_axes,
)
from worldmodel.evaluation.probe import (
    Probe,
    axis_rmse_cm,
    fit_probe,
    r_squared,
    rmse_cm,
    yaw_rmse_deg,
    yaw_targets,
)
from worldmodel.model import WorldModel
from worldmodel.resources import find_weights

Encode = Callable[[Tensor], Tensor]

OCCLUDING_M = 0.07
UPRIGHT = 0.98
HORIZON = 8


@dataclass(frozen=True)
class Truth:
    """What probes shall read, of N moments.

    Attributes:
        gripper: (N, 3) [m].
        cube: (N, 3) [m].
        gripper_yaw: (N,) [rad].
        cube_yaw: (N,) [rad].
        upright: bool (N,) the cube stands flat, so that its yaw has a meaning.
        near: bool (N,) the gripper is so near that it hides part of the cube.
        tray: bool (N,) the cube stands in the tray, where pushes begin and end.
    """

    gripper: np.ndarray
    cube: np.ndarray
    gripper_yaw: np.ndarray
    cube_yaw: np.ndarray
    upright: np.ndarray
    near: np.ndarray
    tray: np.ndarray

    @classmethod
    def of(cls, moments: list[Quantities]) -> Truth:
        """Collects the quantities of N moments."""
        gripper = np.stack([m.gripper_pos_world for m in moments])
        cube = np.stack([m.cube_pos_world for m in moments])
        quat = np.stack([m.cube_quat for m in moments])
        up = 1 - 2 * (quat[:, 1] ** 2 + quat[:, 2] ** 2)
        inside = (cube[:, :2] > TRAY_LOW_M) & (cube[:, :2] < TRAY_HIGH_M)
        low = cube[:, 2] < 1.5 * CUBE_HALF_SIDE_M
        return cls(
            gripper,
            cube,
            np.array([m.gripper_yaw for m in moments]),
            np.array([m.cube_yaw for m in moments]),
            up > UPRIGHT,
            np.linalg.norm(gripper - cube, axis=1) < OCCLUDING_M,
            inside.all(axis=1) & low & (up > UPRIGHT),
        )

    def targets(self) -> np.ndarray:
        """(N, 10) what one probe is fitted to."""
        yaws = (yaw_targets(self.gripper_yaw), yaw_targets(self.cube_yaw))
        return np.concatenate([self.gripper, self.cube, *yaws], axis=1)


def moments_of(windows: Windows, count: int) -> tuple[Tensor, Truth]:
    """Two-frame clips spread over a split, and the truth at their last frame."""
    batch = windows.at(windows.spread(count))
    states = batch.sim_state[:, -1].numpy()
    return batch.frames, Truth.of(quantities_of(states))


@torch.no_grad()
def features(encode: Encode, clips: Tensor, chunk: int = 256) -> np.ndarray:
    """Latents float32 (N, F) of the last frames of clips (N, 2, h, w, 3)."""
    parts = [encode(some).flatten(1) for some in clips.split(chunk)]
    return torch.cat(parts).float().numpy()


def probe_figures(probe: Probe, latents: np.ndarray, truth: Truth) -> dict[str, object]:
    """Errors of a probe on held-out moments."""
    read = probe.predict(latents)
    gripper, cube, near = read[:, :3], read[:, 3:6], truth.near
    up = truth.upright
    return {
        "gripper_cm": rmse_cm(gripper, truth.gripper),
        "gripper_median_cm": float(
            100 * np.median(np.linalg.norm(gripper - truth.gripper, axis=1))
        ),
        "gripper_axes_cm": axis_rmse_cm(gripper, truth.gripper).round(2).tolist(),
        "gripper_r2": r_squared(gripper, truth.gripper),
        "gripper_yaw_deg": yaw_rmse_deg(read[:, 6:8], truth.gripper_yaw),
        "cube_cm": rmse_cm(cube, truth.cube),
        "cube_axes_cm": axis_rmse_cm(cube, truth.cube).round(2).tolist(),
        "cube_r2": r_squared(cube, truth.cube),
        "cube_near_cm": rmse_cm(cube[near], truth.cube[near]),
        "cube_yaw_deg": yaw_rmse_deg(read[up, 8:10], truth.cube_yaw[up]),
    }


def tray_figures(
    strength: float,
    train: tuple[np.ndarray, Truth],
    held: tuple[np.ndarray, Truth],
) -> dict[str, float]:
    """Errors in the plane of cubes in the tray, by a probe fitted to those."""
    (seen, first), (later, second) = train, held
    targets = first.targets()[first.tray]
    probe = fit_probe(seen[first.tray], targets, strength)
    read = probe.predict(later[second.tray])
    true, near = second.cube[second.tray], second.near[second.tray]
    gaps = 100 * np.linalg.norm(read[:, 3:5] - true[:, :2], axis=1)
    return {
        "tray_cm": rmse_cm(read[:, 3:5], true[:, :2]),
        "tray_median_cm": float(np.median(gaps)),
        "tray_near_cm": rmse_cm(read[near, 3:5], true[near, :2]),
        "tray_yaw_deg": yaw_rmse_deg(read[:, 8:10], second.cube_yaw[second.tray]),
    }


def probe_gate(
    encode: Encode, train: tuple[Tensor, Truth], held: tuple[Tensor, Truth]
) -> tuple[Probe, dict[str, object]]:
    """Fits a probe on training moments and measures it on held-out ones."""
    best: tuple[float, Probe, dict[str, object]] | None = None
    seen, later = features(encode, train[0]), features(encode, held[0])
    for strength in (1e-4, 1e-3, 1e-2):
        probe = fit_probe(seen, train[1].targets(), strength)
        figures = probe_figures(probe, later, held[1])
        figures |= tray_figures(strength, (seen, train[1]), (later, held[1]))
        error = float(figures["gripper_cm"]) + float(figures["cube_cm"])  # type: ignore[arg-type]
        if best is None or error < best[0]:
            best = (error, probe, figures)
    assert best is not None
    return best[1], best[2]


@torch.no_grad()
def imagination_gate(
    model: WorldModel, probe: Probe, windows: Windows, count: int
) -> dict[str, object]:
    """Open-loop error [cm] at each horizon, for gripper and cube."""
    batch = windows.at(windows.spread(count))
    known = model.context_frames
    latents = torch.cat([model.encode(f) for f in batch.frames.split(64)])
    felt = batch.proprio
    whole = model.context(latents, batch.actions[:, :-1], felt)  # corrected by proprio
    past, true = whole.latents[:, :known], whole.latents[:, known:]
    true = true.flatten(-2).numpy()
    taken = batch.actions[:, : known - 1]
    context = model.context(latents[:, :known], taken, felt[:, :known])
    actions = batch.actions[:, known - 1 : -1]
    wrong = torch.from_numpy(shuffle_actions(actions.numpy(), seed=0))
    imagined = model.predict(context, actions[:, None])[:, 0].flatten(-2).numpy()
    shuffled = model.predict(context, wrong[:, None])[:, 0].flatten(-2).numpy()
    states = batch.sim_state[:, known:].flatten(0, 1).numpy()
    truth = Truth.of(quantities_of(states)).targets()[:, :6]
    positions = truth.reshape(len(true), -1, 6)
    figures: dict[str, object] = {}
    for name, columns in (("gripper", slice(0, 3)), ("cube", slice(3, 6))):
        part = Probe(
            probe.latent_shape,
            probe.mean,
            probe.scale,
            probe.weight[:, columns],
            probe.bias[columns],
        )
        errors = open_loop(
            part,
            imagined,
            past[:, -1].flatten(-2).numpy(),
            shuffled,
            true,
            positions[..., columns],
        )
        for kind, values in vars(errors).items():
            figures[f"{name}_{kind}"] = np.round(values, 2).tolist()
    return figures


@torch.no_grad()
def ranking_gate(model: WorldModel, windows: Windows, count: int) -> dict[str, object]:
    """Rank correlation of each cost with the true cube and gripper distance."""
    batch = windows.at(windows.spread(count))
    latents = torch.cat([model.encode(f) for f in batch.frames.split(16)])
    states = batch.sim_state.flatten(0, 1).numpy()
    truth = Truth.of(quantities_of(states))
    shape = batch.frames.shape[:2]
    figures: dict[str, object] = {}
    for name, cost in single_costs(model.distances).items():
        values = cost.distance(latents, latents[:, -1:], model.distances).numpy()
        for body in ("gripper", "cube"):
            places = getattr(truth, body).reshape(*shape, 3)
            gaps = np.linalg.norm(places - places[:, -1:], axis=-1)
            moving = gaps.max(axis=1) > 0.03
            ranking = cost_ranking(values[moving, :-1], gaps[moving, :-1])
            figures[f"{name}_{body}"] = {
                "along": round(ranking.along, 3),
                "across": round(ranking.across, 3),
            }
    return figures


@torch.no_grad()
def axis_gate(
    model: WorldModel, probe: Probe, windows: Windows, count: int
) -> dict[str, object]:
    """How far one unit of each action moves the imagined gripper."""
    batch = windows.at(windows.spread(count))
    latents = torch.cat([model.encode(f) for f in batch.frames.split(64)])
    context = model.context(latents, batch.actions[:, :-1], batch.proprio)
    unit = torch.eye(len(ACTION_NAMES))[None, :, None].expand(count, -1, 1, -1)
    plus = model.predict(context, unit)[:, :, 0].flatten(-2).numpy()
    minus = model.predict(context, -unit)[:, :, 0].flatten(-2).numpy()
    response = axis_response(probe, plus, minus)[:, :3]
    return {
        "response_cm": np.round(response, 2).tolist(),
        "wrong_axes": wrong_axes(response, ACTION_NAMES[:3]),
    }


def _random_weights(encoder: VideoViT) -> VideoViT:
    """The same encoder, untrained: background and colour blobs are no weights."""
    random = VideoViT(encoder.spec)
    random.set_background(encoder.background)
    if random.blobs is not None and encoder.blobs is not None:
        random.blobs.load_state_dict(encoder.blobs.state_dict())
    return random.eval()


def main() -> None:
    """Prints every gate as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="reference")
    parser.add_argument("--data", required=True)
    parser.add_argument("--train", type=int, default=20000)
    parser.add_argument("--held", type=int, default=4000)
    parser.add_argument("--split", default="validation")
    options = parser.parse_args()
    model = WorldModel.from_pretrained(find_weights(options.model))
    cache = FrameCache.open(LeRobotDataset.open(options.data))
    train = moments_of(Windows(cache, "train", 2), options.train)
    held = moments_of(Windows(cache, options.split, 2), options.held)
    torch.manual_seed(0)
    encoder = model.encoder.encoder
    assert isinstance(encoder, VideoViT)
    random = _random_weights(encoder)
    report: dict[str, object] = {}
    _, report["tokens"] = probe_gate(encoder.newest, train, held)
    _, report["tokens_random"] = probe_gate(random.newest, train, held)
    probe, report["latents"] = probe_gate(
        lambda clips: model.encode(clips)[:, -1], train, held
    )
    length = model.context_frames + HORIZON
    windows = Windows(cache, options.split, length)
    report["imagination"] = imagination_gate(model, probe, windows, 500)
    whole = Windows(cache, options.split, 40)
    report["ranking"] = ranking_gate(model, whole, min(100, len(whole)))
    pairs = Windows(cache, options.split, model.context_frames)
    report["axes"] = axis_gate(model, probe, pairs, 200)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
