"""Files of the Hugging Face hub, downloaded where they are missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from worldmodel.errors import WorldModelError
from worldmodel.files.text import one_line

EXTRA = "pip install worldmodel-planner[hub]"


class HubError(WorldModelError):
    """Files are not here and do not come; the message says why."""


def download(
    name: str,
    kind: str,
    patterns: Sequence[str],
    mend: str,
    revision: str | None = None,
) -> Path:
    """Gives the folder of a repository's files in the hub's cache.

    Args:
        name: owner/name.
        kind: "dataset" or "model".
        patterns: of the files that are wanted.
        mend: what to do where they do not come, for the message.
        revision: a branch, tag or commit; None for the newest.

    Raises:
        HubError: they are not here and cannot be downloaded.
    """
    try:
        from huggingface_hub import errors, snapshot_download
    except ImportError as error:
        raise HubError(
            f"the {kind} {name} needs huggingface_hub: {EXTRA}; or {mend}"
        ) from error
    try:
        return Path(
            snapshot_download(
                name,
                repo_type=kind,
                revision=revision,
                allow_patterns=list(patterns),
            )
        )
    except errors.LocalEntryNotFoundError as error:
        raise HubError(
            f"the {kind} {name} is not here, and the hub cannot be reached: {mend}"
        ) from error
    except (
        OSError,
        errors.HFValidationError,
        errors.HTTPError,  # pyright: ignore[reportPrivateImportUsage]
    ) as error:
        text = one_line(error)
        raise HubError(
            f"the {kind} {name} cannot be downloaded ({text}): {mend}"
        ) from error
