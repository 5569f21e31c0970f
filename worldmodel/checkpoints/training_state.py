"""What a killed training needs to go on as if nothing had happened, without pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from worldmodel.checkpoints.checkpoint import load_strict
from worldmodel.errors import CheckpointError, WorldModelError
from worldmodel.files.atomic import new_file
from worldmodel.files.json_file import parse_object

FORMAT_VERSION = 1
Generator = torch.Generator | np.random.Generator


@dataclass(frozen=True)
class TrainingState:
    """The living objects whose state is saved and restored, by name.

    Attributes:
        modules: Model, moving average of it, and whatever else holds tensors.
        optimizers: Optimizers over parameters of these modules.
        generators: Random generators of torch or numpy.
    """

    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, Optimizer] = field(default_factory=dict)
    generators: Mapping[str, Generator] = field(default_factory=dict)


def save_training_state(
    path: str | Path,
    state: TrainingState,
    step: int,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Writes one safetensors file that holds the old or the new state after a crash.

    The global generators of torch are saved too: dropout draws from them.

    Args:
        path: The file.
        state: What to save.
        step: Optimizer steps done.
        notes: JSON values to get back, e.g. the best validation loss.
    """
    tensors = _global_generators()
    for name, module in state.modules.items():
        tensors |= {f"modules/{name}/{k}": t for k, t in module.state_dict().items()}
    facts = {
        "format_version": FORMAT_VERSION,
        "step": step,
        "notes": dict(notes or {}),
        "modules": sorted(state.modules),
        "optimizers": {
            name: _pack_optimizer(optimizer, f"optimizers/{name}/", tensors)
            for name, optimizer in state.optimizers.items()
        },
        "generators": {
            name: _pack_generator(generator, f"generators/{name}", tensors)
            for name, generator in state.generators.items()
        },
    }
    try:
        text = json.dumps(facts, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"besides tensors a training state holds JSON values: {error}"
        ) from error
    whole = {name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()}
    with new_file(Path(path)) as staging:
        # Not `save_file`: it leaves files of its own behind when it is killed.
        staging.write_bytes(save(whole, metadata={"state": text}))


def load_training_state(
    path: str | Path, state: TrainingState
) -> tuple[int, dict[str, Any]]:
    """Restores what `save_training_state` saved, into the living objects.

    Returns:
        The step and the notes.

    Raises:
        CheckpointError: The file is missing, damaged, or of another training.
    """
    tensors, facts = _read(Path(path))
    for kind in ("modules", "optimizers", "generators"):
        given, wanted = sorted(getattr(state, kind)), sorted(facts[kind])
        if given != wanted:
            raise CheckpointError(f"{path} holds the {kind} {wanted}, got {given}")
    for name, module in state.modules.items():
        load_strict(module, _under(f"modules/{name}/", tensors))
    for name, optimizer in state.optimizers.items():
        values = _under(f"optimizers/{name}/", tensors)
        saved = _unpack_optimizer(facts["optimizers"][name], values)
        groups = saved["param_groups"], optimizer.param_groups
        try:
            for group, own in zip(*groups, strict=True):
                if "capturable" in own:  # as the device needs it, maybe another now
                    group["capturable"] = own["capturable"]
            optimizer.load_state_dict(saved)
        except ValueError as error:
            raise CheckpointError(
                f"{path} has another optimizer '{name}': {error}"
            ) from error
    for name, generator in state.generators.items():
        _restore_generator(
            generator, facts["generators"][name], tensors.get(f"generators/{name}")
        )
    _restore_global_generators(tensors)
    return facts["step"], facts["notes"]


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not path.is_file():
        raise CheckpointError(f"no training state at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("state")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged or half-written: {error}") from error
    if text is None:
        raise CheckpointError(f"{path} is no training state")
    try:
        facts = parse_object(text)
    except WorldModelError as error:
        raise CheckpointError(f"the header of {path} {error}") from error
    if facts.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {facts.get('format_version')}, "
            f"this package reads {FORMAT_VERSION}"
        )
    return tensors, facts


def _pack_optimizer(
    optimizer: Optimizer, prefix: str, tensors: dict[str, Tensor]
) -> dict[str, Any]:
    """Puts the tensors of an optimizer into `tensors`; gives the rest as JSON."""
    packed = optimizer.state_dict()
    rest: dict[str, dict[str, Any]] = {}
    for index, values in packed["state"].items():
        rest[str(index)] = {}
        for key, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{prefix}{index}/{key}"] = value
            else:
                rest[str(index)][key] = value
    groups = [
        {key: v.item() if isinstance(v, Tensor) else v for key, v in group.items()}
        for group in packed["param_groups"]
    ]
    return {"state": rest, "param_groups": groups}


def _unpack_optimizer(
    facts: dict[str, Any], tensors: Mapping[str, Tensor]
) -> dict[str, Any]:
    state = {int(index): dict(values) for index, values in facts["state"].items()}
    for name, value in tensors.items():
        index, _, key = name.partition("/")
        state[int(index)][key] = value
    groups = [
        {
            key: tuple(v) if isinstance(v, list) and key != "params" else v
            for key, v in group.items()
        }
        for group in facts["param_groups"]
    ]
    return {"state": state, "param_groups": groups}


def _pack_generator(
    generator: Generator, name: str, tensors: dict[str, Tensor]
) -> dict[str, Any] | None:
    if isinstance(generator, torch.Generator):
        tensors[name] = generator.get_state()
        return None
    return dict(generator.bit_generator.state)


def _restore_generator(
    generator: Generator, facts: dict[str, Any] | None, value: Tensor | None
) -> None:
    if isinstance(generator, torch.Generator) and value is not None:
        generator.set_state(value)
    elif isinstance(generator, np.random.Generator) and facts is not None:
        generator.bit_generator.state = facts
    else:
        raise CheckpointError(
            "a generator of torch and one of numpy cannot take each other's place, "
            f"got {type(generator).__module__}"
        )


def _global_generators() -> dict[str, Tensor]:
    states = {"global/cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        for index, value in enumerate(torch.cuda.get_rng_state_all()):
            states[f"global/cuda/{index}"] = value
    return states


def _restore_global_generators(tensors: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(tensors["global/cpu"])
    cuda = _under("global/cuda/", tensors)
    if cuda and torch.cuda.is_available() and len(cuda) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([cuda[str(i)] for i in range(len(cuda))])


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): t
        for name, t in tensors.items()
        if name.startswith(prefix)
    }
