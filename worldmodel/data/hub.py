"""Datasets by their name on the Hugging Face hub, downloaded where they are missing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from worldmodel.data import layout
from worldmodel.data.errors import DatasetError
from worldmodel.data.foreign_info import ForeignInfo, read_foreign_info
from worldmodel.data.view import View
from worldmodel.files.hub import HubError, download

PREFIX = "hub:"
_META = "meta/*"
_HOW = f"write {PREFIX}owner/name, or {PREFIX}owner/name@revision"
_NAME = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^@]+))?")
_PLACE = re.compile(r"\{(\w+)[^}]*\}")


def dataset_folder(place: str | Path, view: View | None = None) -> Path:
    """Gives the folder of a dataset, of one on the hub as it lies in the hub's cache.

    Of that one info and records come first, then rows and the pictures that the view
    needs; what has been downloaded before is there without a network, too.

    Args:
        place: A folder, or "hub:owner/name", or "hub:owner/name@revision".
        view: Whose cameras are needed; None brings no rows and no pictures.

    Raises:
        DatasetError: It cannot be downloaded; the message says where to put it. Or it
            lacks what the view asks for.
    """
    if not str(place).startswith(PREFIX):
        return Path(place).expanduser()
    folder = _download(str(place), [_META])
    if view is None or not (folder / layout.INFO).is_file():
        return folder
    info = read_foreign_info(folder)
    cameras = [f.key for f in info.cameras(view.cameras) if f.is_video]
    return _download(str(place), [_META, *_files(info, cameras)])


def _files(info: ForeignInfo, videos: Sequence[str]) -> list[str]:
    """Gives patterns of the files with rows, and of those with the videos' pictures."""
    patterns = [_PLACE.sub("*", info.data_path)]
    for key in videos:
        path = info.video_path.replace("{video_key}", key)
        patterns.append(_PLACE.sub("*", path))
    return patterns


def _download(place: str, patterns: Sequence[str]) -> Path:
    """Downloads those files of a dataset that are missing; gives its folder."""
    match = _NAME.fullmatch(place.removeprefix(PREFIX))
    if match is None:
        raise DatasetError(f"{_HOW}, got {place!r}")
    name, files = match["name"], ", ".join(patterns)
    mend = (
        f"download its {files} to a folder where there is a network, and give that "
        "folder instead"
    )
    try:
        return download(name, "dataset", patterns, mend, match["revision"])
    except HubError as error:
        raise DatasetError(str(error)) from error
