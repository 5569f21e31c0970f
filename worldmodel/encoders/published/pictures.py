"""Picture encoders that `transformers` knows: DINOv2 and -3, I-JEPA, MAE, SigLIP 2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from worldmodel.encoders.published.weight_files import one_line, read_safetensors
from worldmodel.errors import CheckpointError

PACKAGE = "transformers"
_SHOWN = 8  # tensors that a message lists


@dataclass(frozen=True)
class Family:
    """How models of one `model_type` are read and called.

    Attributes:
        model: the class of `transformers`.
        leading: tokens before those of the patches, but for registers.
        unused: what the files hold beside the encoder, by its beginning.
        interpolates: whether it has to be told that a picture has another size.
        masks: whether it hides patches unless told not to.
    """

    model: str
    leading: int
    unused: tuple[str, ...] = ()
    interpolates: bool = False
    masks: bool = False


_SIGLIP = Family(
    "SiglipVisionModel", 0, ("text_model.", "logit_scale", "logit_bias"), True
)
FAMILIES = {
    "dinov2": Family("Dinov2Model", 1, ("classifier.",)),
    "dinov2_with_registers": Family("Dinov2WithRegistersModel", 1, ("classifier.",)),
    "dinov3_vit": Family("DINOv3ViTModel", 1),
    "ijepa": Family("IJepaModel", 0, ("classifier.", "pooler."), True),
    "vit_mae": Family("ViTMAEModel", 1, ("decoder.",), True, masks=True),
    "siglip": _SIGLIP,
    "siglip_vision_model": _SIGLIP,
}


class PictureNetwork(nn.Module):
    """Normalised clips (B, 1, 3, side, side) -> tokens of the patches (B, P, D)."""

    def __init__(self, model: nn.Module, family: Family, side: int) -> None:
        super().__init__()
        self.model, self.family = model, family
        config: Any = model.config
        self.leading = family.leading + int(getattr(config, "num_register_tokens", 0))
        self.patches = (side // config.patch_size) ** 2
        self.is_resized = side != config.image_size

    def forward(self, clips: Tensor) -> Tensor:
        options: dict[str, Any] = {}
        if self.family.interpolates and self.is_resized:
            options["interpolate_pos_encoding"] = True
        if self.family.masks:  # in this order all patches are kept as they are
            order = torch.arange(self.patches, device=clips.device, dtype=torch.float32)
            options["noise"] = order.expand(len(clips), -1)
        found = self.model(pixel_values=clips[:, 0], **options).last_hidden_state
        return found[:, self.leading :]


def read_pictures(folder: Path, config: Mapping[str, Any], side: int) -> PictureNetwork:
    """Reads a Hugging Face folder in float32, every tensor used or known as unused.

    Args:
        folder: has config.json and model.safetensors, or its parts.
        config: what config.json says; its `model_type` is one of `FAMILIES`.
        side: of the pictures [px].

    Raises:
        CheckpointError: `transformers` is not there, or the files do not fit.
    """
    family = FAMILIES[config["model_type"]]
    try:
        import transformers
    except ImportError as error:
        raise CheckpointError(
            f"{folder} holds a {config['model_type']}, which needs {PACKAGE}: pip "
            "install worldmodel-planner[encoders]"
        ) from error
    read_safetensors(folder)  # its errors name the file and what to do
    options = {"mask_ratio": 0.0} if family.masks else {}
    try:
        with _quiet():
            model, info = getattr(transformers, family.model).from_pretrained(
                folder,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused below, with their names
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.float32,
                **options,
            )
    except (ValueError, TypeError, OSError, RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"{folder} cannot be read by {PACKAGE} ({one_line(error)}): take "
            "config.json and the tensors from one download"
        ) from error
    _require_whole(folder, family, info)
    return PictureNetwork(model, family, side)


def _require_whole(folder: Path, family: Family, info: Mapping[str, Any]) -> None:
    """Refuses tensors that are missing, misshapen, or have no place."""
    extra = [n for n in info["unexpected_keys"] if not n.startswith(family.unused)]
    missing = list(info["missing_keys"])
    misshapen = [str(key) for key in info["mismatched_keys"]]
    for what, names in (
        ("lacks", missing),
        ("has no place for", extra),
        ("has another size than config.json says", misshapen),
    ):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            raise CheckpointError(
                f"{folder}: {family.model} {what}: "
                f"{', '.join(sorted(names)[:_SHOWN])}{more}; take config.json and the "
                "tensors from one download"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps transformers from reporting what is checked here."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
