"""What a model's tokens and latents tell, and how well its costs order moments."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.gates import ranking_gate
from benchmarks.objectives.learner import SEEN
from worldmodel.data import FrameCache, Split, Windows
from worldmodel.evaluation.probe import fit_network_probe, fit_probe
from worldmodel.evaluation.scene_probes import Scene, SceneProbes
from worldmodel.model import WorldModel
from worldmodel.training.collapse import latent_stats

FIT, HELD = 12_000, 4000  # moments of a probe
EPISODES, LENGTH = 100, 40  # of the rank correlation, steps
CHUNK = 256
KINDS = {
    "linear": partial(fit_probe, strength=1e-3),
    "network": fit_network_probe,
}


@torch.no_grad()
def figures(model: WorldModel, frames: FrameCache) -> dict[str, Any]:
    """All figures of a model, on play that it has not learned from.

    Args:
        model: which plans.
        frames: play; probes are fitted on its training split, measured on validation.

    Returns:
        `probes` of tokens and latents (root mean square, median [cm] or [deg]),
        `collapse` of both, and `ranking`: Spearman's correlation of each cost with how
        far gripper and cube truly are from the last moment, along episodes and across.
    """
    model.batch_invariant = False
    known, held = moments(frames, "train", FIT), moments(frames, "validation", HELD)
    scenes = [Scene.of(states) for _, states in (known, held)]
    seen, later = (
        dict(zip(("tokens", "latents"), encoded(model, some), strict=True))
        for some, _ in (known, held)
    )
    probes: dict[str, Any] = {}
    for of in seen:
        for name, fit in KINDS.items():
            if (of, name) != ("tokens", "network"):  # 4608 features overfit a network
                with torch.enable_grad():
                    read = SceneProbes(seen[of].numpy(), scenes[0], fit)
                probes[f"{of}_{name}"] = read.errors(later[of].numpy(), scenes[1])
    whole = Windows(frames, "validation", LENGTH)
    return {
        "probes": probes,
        "collapse": {of: asdict(latent_stats(later[of])) for of in later},
        "ranking": ranking_gate(model, whole, min(EPISODES, len(whole))),
    }


def moments(frames: FrameCache, split: Split, count: int) -> tuple[Tensor, np.ndarray]:
    """Moments spread over a split, and the simulator's states at their last frames."""
    windows = Windows(frames, split, SEEN)
    batch = windows.at(windows.spread(min(count, len(windows))))
    return batch.frames, batch.sim_state[:, -1].numpy()


def encoded(model: WorldModel, clips: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens (N, P, token_dim) and latents (N, D) of clips (N, 2, h, w, 3)."""
    parts = clips.split(CHUNK)
    tokens = torch.cat([model.encoder.newest(some) for some in parts]).float()
    latents = torch.cat([model.encode_newest(some)[:, 0] for some in parts]).float()
    return tokens, latents
