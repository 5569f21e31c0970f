"""Short names of published encoders, and where the files of one lie."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from worldmodel.errors import CheckpointError
from worldmodel.files.hub import HubError, download

_DINOV2 = {"s": "small", "b": "base", "l": "large", "g": "giant"}
# Repositories on the Hugging Face hub.
NAMES = {
    "vjepa2_vitl": "facebook/vjepa2-vitl-fpc64-256",
    "vjepa2_vith": "facebook/vjepa2-vith-fpc64-256",
    "vjepa2_vitg": "facebook/vjepa2-vitg-fpc64-256",
    "vjepa2_vitg_384": "facebook/vjepa2-vitg-fpc64-384",
    **{f"dinov2_vit{k}14": f"facebook/dinov2-{size}" for k, size in _DINOV2.items()},
    **{
        f"dinov2_vit{k}14_reg": f"facebook/dinov2-with-registers-{size}"
        for k, size in _DINOV2.items()
    },
    **{
        f"dinov3_vit{k}16": f"facebook/dinov3-vit{k}16-pretrain-lvd1689m" for k in "sbl"
    },
    "ijepa_vith14": "facebook/ijepa_vith14_1k",
    "ijepa_vith16": "facebook/ijepa_vith16_1k",
    "mae_vitb16": "facebook/vit-mae-base",
    "mae_vitl16": "facebook/vit-mae-large",
    "mae_vith14": "facebook/vit-mae-huge",
    "siglip2_vitb16": "google/siglip2-base-patch16-224",
    "siglip2_vitl16": "google/siglip2-large-patch16-256",
}
PREFIX = "hub:"
PATTERNS = ("config.json", "preprocessor_config.json", "model*.safetensors*")
_REPOSITORY = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^@]+))?")


def encoder_files(place: str | Path) -> Path:
    """Gives the .pt file or the folder of a published encoder.

    Args:
        place: a file or a folder; one of `NAMES`; or a repository on the hub,
            hub:owner/name or hub:owner/name@revision. What is missing is downloaded.

    Raises:
        CheckpointError: there is no such thing, or it cannot be downloaded; the message
            says what to put where.
    """
    path = Path(place).expanduser()
    if path.exists():
        return path
    text = str(place)
    named = text.removeprefix(PREFIX) if text.startswith(PREFIX) else NAMES.get(text)
    match = _REPOSITORY.fullmatch(named or "")
    if match is None:
        raise CheckpointError(f"no encoder at {place}{_meant(text)}")
    mend = (
        f"download {', '.join(PATTERNS)} of huggingface.co/{match['name']} to a folder "
        "where there is a network, and give that folder instead"
    )
    try:
        return download(match["name"], "model", PATTERNS, mend, match["revision"])
    except HubError as error:
        raise CheckpointError(str(error)) from error


def _meant(place: str) -> str:
    """What may have been meant, for a message."""
    if "/" in place and not place.startswith(PREFIX):
        return f": give a file or a folder that is there, or {PREFIX}owner/name"
    near = difflib.get_close_matches(place, NAMES, n=1)
    guess = f", did you mean {near[0]}?" if near else ":"
    return (
        f"{guess} give a .pt file, a folder, {PREFIX}owner/name, or one of "
        f"{', '.join(NAMES)}"
    )
