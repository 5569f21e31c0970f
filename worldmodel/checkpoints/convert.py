"""Checkpoints of format 1 in the names of format 2; the numbers stay as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from worldmodel.checkpoints.checkpoint import weights_hash

_TENSORS = (
    (r"^compressor\.", "projector."),
    (r"^habit\.", "policy_prior."),
    (r"^anchor\.", "proprio_correction."),
    (r"^reader\.", "proprio_estimator."),
    (r"\blook\.read\.", "projection.readout."),
    (r"^distances\.felt\.read\.", "distances.proprio.readout."),
    (r"^(encoder\.encoder\.|)words\.", r"\1blobs."),
    (r"^(encoder\.encoder\.|)usual$", r"\1background"),
)
_DROPPED = "distances.seen."
_ENCODER = {"words": "num_colors", "things": "num_slots"}
_PROJECTOR = {"words": "blob_dim"}
_PROJECTION = {"read": "state_dim", "aim": "goal_dim"}
_COST = {
    "pose": "proprio_goal",
    "still": "move_threshold",
    "path": "running",
}
_COST_LOST = ("felt", "seen", "slack", "effort")
# Without these as many problems are solved (docs/results/ablations.json).
_COST_DROPPED = ("things", "there")
_MIN_IMPROVEMENT = 0.03  # that plans had to gain when format 1 was written


def convert_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of format 1 by their names in format 2."""
    found = {}
    for name, tensor in tensors.items():
        if name.startswith(_DROPPED):
            continue
        for pattern, new in _TENSORS:
            name = re.sub(pattern, new, name)
        found[name] = tensor
    return found


def convert_config(
    config: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> dict[str, Any]:
    """The config of format 1 as format 2 says it.

    Args:
        config: without the keys that `save_checkpoint` writes itself.
        tensors: what `convert_tensors` gave: the encoder's hash is made anew, since it
            covers names.

    Raises:
        ValueError: format 2 has no word for a part of the model: a memory, or a cost
            with a weight of something that is gone.
    """
    kind, spec = config["kind"], dict(config["spec"])
    if kind == "encoder":
        return {**config, "spec": _renamed(spec, _ENCODER)} | _hash(tensors, "")
    if kind == "compressor":
        raise ValueError(
            "a compressor names its encoder by a hash of format 1; train it anew with "
            "the converted encoder"
        )
    if spec.pop("memory", None) is not None:
        raise ValueError("the model has a memory, which format 2 does not know")
    cost = {k: v for k, v in spec["cost"].items() if k not in _COST_DROPPED}
    lost = [name for name in _COST_LOST if cost.pop(name, 0.0)]
    if lost:
        raise ValueError(f"cost has weights that format 2 does not know: {lost}")
    temporal = spec["distances"]["temporal"]
    converted = {
        "encoder": _renamed(spec["encoder"], _ENCODER),
        "projector": _renamed(spec["compressor"], _PROJECTOR),
        "predictor": spec["predictor"],
        "action_spec": spec["action_spec"],
        "distances": {
            "temporal": temporal and _projected(temporal, {"near": "success_radius"}),
            "proprio": spec["distances"]["felt"],
        },
        "policy_prior": spec["habit"] and _projected(spec["habit"], {}),
        "proprio_correction": spec["anchor"],
        "proprio_estimator": spec["reader"] and _renamed(spec["reader"], _PROJECTOR),
        "cost": {**_renamed(cost, _COST), "min_improvement": _MIN_IMPROVEMENT},
    }
    prefix = "encoder.encoder."
    return {**config, "spec": converted} | _hash(tensors, prefix)


def _hash(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, str]:
    inner = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    return {"encoder_hash": weights_hash(inner)}


def _renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in values.items()}


def _projected(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    whole = _renamed(values, {**names, "look": "projection"})
    whole["projection"] = _renamed(whole["projection"], _PROJECTION)
    return whole
