"""What is ordinary: the prediction errors of a finished model on play."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from worldmodel.data import FrameCache, SplitRule
from worldmodel.model import WorldModel
from worldmodel.predictors import ErrorCovariance

EPISODES = 200  # of play, at most: some 9600 moments, for a covariance of D = 64


def measure_errors(model: WorldModel, frames: FrameCache) -> None:
    """Gives a model the covariance of its errors, by which `surprise` then measures.

    Args:
        model: finished, on the device that computes; only `error_covariance`, in model
            and spec, is changed.
        frames: play, decoded; at most `EPISODES` episodes of its training split, spread
            evenly, are encoded.

    Raises:
        ValueError: there is no episode of two frames in the training split.
    """
    chosen = np.flatnonzero(SplitRule().holds("train", frames.episodes))
    chosen = chosen[frames.lengths[chosen] > 1]
    count = min(EPISODES, len(chosen))
    if not count:
        raise ValueError(
            f"{frames.path} has no episode of two frames in its training split; "
            "collect more"
        )
    places = chosen[np.arange(count) * len(chosen) // count]
    errors = torch.cat([_errors(model, frames, int(place)) for place in places])
    model.error_covariance = ErrorCovariance.of(errors)
    model.spec = replace(model.spec, error_covariance=True)


def _errors(model: WorldModel, frames: FrameCache, place: int) -> Tensor:
    """The errors (T - 1, D) of one episode."""
    rows = slice(int(frames.offsets[place]), int(frames.offsets[place + 1]))
    pixels = torch.from_numpy(np.array(frames.frames[rows]))
    actions = torch.from_numpy(np.array(frames.actions[rows])[:-1])
    proprio = torch.from_numpy(np.array(frames.proprio[rows]))
    device = next(model.predictor.parameters()).device
    felt = proprio[None].to(device) if model.proprio_correction is not None else None
    film = pixels[None].to(device), actions[None].to(device)
    return model.prediction_errors(*film, felt)[0].cpu()
