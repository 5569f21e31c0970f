"""How datasets are looked at, which an encoder remembers and `train` keeps to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from worldmodel.data import DatasetSpec, View, camera_keys
from worldmodel.encoders import EncoderSpec, PublishedSpec, VideoViTSpec
from worldmodel.errors import OptionError


def view_of(config: DictConfig, encoder: VideoViTSpec) -> View:
    """How the options look at a dataset that others recorded.

    Args:
        config: Has `camera`, `stride` and `absolute_actions`.
        encoder: Whose size frames shall have.
    """
    return View(
        camera=config.camera,
        height=encoder.height,
        width=encoder.width,
        stride=config.stride,
        absolute_actions=config.absolute_actions,
    )


def view_history(config: DictConfig, spec: DatasetSpec) -> dict[str, Any]:
    """Gives how a dataset was looked at, as plain JSON for a checkpoint's history.

    Args:
        config: Has `absolute_actions`.
        spec: Of the dataset as it was looked at.
    """
    return {
        "camera": list(spec.cameras),
        "stride": spec.action_spec.block,
        "absolute_actions": config.absolute_actions,
    }


def encoder_view(
    config: DictConfig, encoder: EncoderSpec, history: Mapping[str, Any]
) -> View:
    """How `train` looks at its dataset: as the encoder's was, where nothing is said.

    Args:
        config: Has `data`, `encoder`, `camera`, `stride` and `absolute_actions`.
        encoder: Architecture, which tells the size; published ones take any.
        history: Of the encoder; one of before tells no view.

    Raises:
        OptionError: An option contradicts what the encoder was trained on.
    """
    seen = history.get("view", {})
    absolute, takes_any = config.absolute_actions, isinstance(encoder, PublishedSpec)
    return View(
        camera=_camera(config, tuple(seen.get("camera", ()))),
        height=None if takes_any else encoder.height,
        width=None if takes_any else encoder.width,
        stride=_stride(config, seen.get("stride")),
        absolute_actions=seen.get("absolute_actions") if absolute is None else absolute,
    )


def _camera(config: DictConfig, seen: tuple[str, ...]) -> list[str] | None:
    """The cameras to look through, None for the only one.

    Another dataset may call its cameras otherwise; there have to be as many.
    """
    given, text = View(config.camera).cameras, ",".join(seen)
    is_there = bool(seen) and set(seen) <= set(camera_keys(config.data))
    if given and seen and (is_there or len(given) != len(seen)) and given != seen:
        raise OptionError(
            f"camera must be [{text}], as encoder={config.encoder} was trained on, got "
            f"[{','.join(given)}]: leave camera= out, or pretrain an encoder on these"
        )
    if not given and len(seen) > 1 and not is_there:
        raise OptionError(
            f"{config.data} lacks a camera of [{text}], which encoder={config.encoder} "
            f"was trained on: name as many of its own with camera=, it has "
            f"{', '.join(camera_keys(config.data))}"
        )
    return list(given) or (list(seen) if is_there else None)


def _stride(config: DictConfig, seen: int | None) -> int:
    if None not in (config.stride, seen) and config.stride != seen:
        raise OptionError(
            f"stride must be {seen}, as encoder={config.encoder} was trained on, got "
            f"{config.stride}: leave stride= out, or pretrain an encoder with this one"
        )
    return config.stride or seen or 1
