"""Checkpoint folders that somebody changed, loaded as `plan` does."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from benchmarks.damage import cut_off, overwrite, set_json, take_away
from benchmarks.hostile_cases import WORKS, Case
from worldmodel.checkpoints.checkpoint import CONFIG_FILE, TENSORS_FILE, weights_hash
from worldmodel.checkpoints.encoders import save_encoder
from worldmodel.encoders import VideoViT
from worldmodel.model import WorldModel
from worldmodel.resources import find_weights

Change = Callable[[Path], None]
SIZES: tuple[Any, ...] = (0, -1, 1.5, "2", None, True, 100_000, 10**9, 10**30, 1e30)
NUMBERS: tuple[Any, ...] = (float("nan"), 1e999, -1.0, "x", None, True)


def checkpoints(stock: Path) -> Iterator[Case]:
    """Gives the cases, each of a changed copy of the shipped model."""
    del stock

    def case(name: str, change: Change, *says: str, right: str = "clear") -> Case:
        run = functools.partial(_load_changed, change)
        return Case(f"checkpoints/{name}", run, says, right)

    yield case("control: as it is", lambda root: None, right=WORKS)
    for path, values in _CONFIG.items():
        for value in values:
            change = functools.partial(_set, path, value)
            yield case(f"{path}={value!r}", change, "model")
    for text in ("null", "[]", "", "{}", "3", "[" * 100_000, '{"a":' * 100_000):
        change = functools.partial(overwrite, CONFIG_FILE, text.encode())
        yield case(f"config {text[:5]!r}", change, CONFIG_FILE)
    no_text = functools.partial(overwrite, CONFIG_FILE, b"\xff")
    yield case("no UTF-8", no_text, CONFIG_FILE)
    for name in (CONFIG_FILE, TENSORS_FILE):
        yield case(f"without {name}", functools.partial(take_away, name), name)
        yield case(f"half of {name}", functools.partial(cut_off, name), name)
    header = (10**15).to_bytes(8, "little") + b"{}"
    yield case(
        "a header of a petabyte", functools.partial(overwrite, TENSORS_FILE, header)
    )
    for name, change_tensor in _TENSORS.items():
        change = functools.partial(_set_tensor, change_tensor)
        shown = "encoder" if name == "another encoder" else TENSORS_FILE
        yield case(f"tensors {name}", change, shown)


def make_encoder(folder: Path) -> None:
    """Saves the shipped model's encoder alone."""
    if not folder.is_dir():
        encoder = WorldModel.from_pretrained(find_weights("reference")).encoder.encoder
        assert isinstance(encoder, VideoViT)
        save_encoder(folder, encoder, {}, "# Encoder\n")


def _load_changed(change: Change, folder: Path) -> int:
    root = folder / "model"
    shutil.copytree(find_weights("reference"), root)
    change(root)
    WorldModel.from_pretrained(root)
    return 0


def _set(path: str, value: object, root: Path) -> None:
    set_json(root / CONFIG_FILE, path, value, ".")


def _set_tensor(change: Callable[[dict], None], root: Path) -> None:
    """Changes the tensors, and what config.json says of them."""
    tensors = load_file(root / TENSORS_FILE)
    change(tensors)
    save_file(tensors, root / TENSORS_FILE)
    _set("weights_hash", weights_hash(tensors), root)


def _some(tensors: dict, what: str = "predictor") -> str:
    return next(n for n in sorted(tensors) if what in n and tensors[n].dim() > 1)


def _spoil(value: float, tensors: dict) -> None:
    tensors[_some(tensors)].view(-1)[0] = value


def _lose(tensors: dict) -> None:
    del tensors[_some(tensors)]


def _gain(tensors: dict) -> None:
    tensors["surprise"] = torch.zeros(3)


def _cast(tensors: dict) -> None:
    tensors[_some(tensors)] = tensors[_some(tensors)].half()


def _reshape(tensors: dict) -> None:
    tensors[_some(tensors)] = tensors[_some(tensors)].flatten()


def _turn_encoder(tensors: dict) -> None:
    tensors[_some(tensors, "encoder.")].neg_()


_CONFIG: dict[str, tuple[Any, ...]] = {
    "kind": (None, 3, "encoder"),
    "format_version": (None, "1", 99, ...),
    "weights_hash": (None, 5, "", ...),
    "encoder_hash": (None, 5, "", ...),
    "package_version": (None, 5),
    "history": (None, 7, []),
    "spec": (None, 3, [], {}),
    "spec.encoder": (None, [], {}, 3),
    "spec.encoder.depth": SIZES,
    "spec.encoder.dim": SIZES,
    "spec.encoder.height": SIZES,
    "spec.encoder.tubelet": SIZES,
    "spec.encoder.num_colors": (-1, 1.5, 10**9),
    "spec.encoder.theta": (*NUMBERS, 0.0),
    "spec.encoder.mlp_ratio": (*NUMBERS, 1e300),
    "spec.encoder.surprise": (1,),
    "spec.projector.hidden": SIZES,
    "spec.predictor.depth": SIZES,
    "spec.predictor.window": SIZES,
    "spec.predictor.heads": SIZES,
    "spec.policy_prior.hidden": SIZES,
    "spec.policy_prior.projection": (None, 3, {}),
    "spec.proprio_correction": (-1, 1.5, "3", 10**9),
    "spec.proprio_dim": (-1, 2, 1.5, "20"),
    "spec.distances": (None, 3),
    "spec.distances.temporal.discount": (*NUMBERS, 1.0),
    "spec.cost.temporal": NUMBERS,
    "spec.action_spec": (None, "", {}),
    "spec.action_spec.rate_hz": (*NUMBERS, 10**400),
    "spec.action_spec.names": (None, [], ["dx"], 3),
}
_TENSORS: dict[str, Callable[[dict], None]] = {
    "NaN": functools.partial(_spoil, float("nan")),
    "infinite": functools.partial(_spoil, float("inf")),
    "one missing": _lose,
    "one more": _gain,
    "of another type": _cast,
    "of another shape": _reshape,
    "another encoder": _turn_encoder,
}
