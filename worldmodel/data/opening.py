"""The one door to datasets, whoever wrote them."""

from __future__ import annotations

from pathlib import Path

from worldmodel.data import layout
from worldmodel.data.errors import DatasetError
from worldmodel.data.foreign import ForeignDataset
from worldmodel.data.foreign_info import read_foreign_info
from worldmodel.data.hub import dataset_folder
from worldmodel.data.reader import LeRobotDataset
from worldmodel.data.strided import StridedDataset
from worldmodel.data.view import View
from worldmodel.errors import WorldModelError
from worldmodel.files.json_file import read_object


def open_dataset(
    path: str | Path, view: View | None = None
) -> LeRobotDataset | StridedDataset | ForeignDataset:
    """Opens a LeRobot v3 dataset, ours or another.

    Ours have a `worldmodel` block in info.json. They keep the size of their frames,
    whatever the view says.

    Args:
        path: Its folder, or "hub:owner/name" for one on the Hugging Face hub.
        view: How one of others is looked at.

    Raises:
        DatasetError: It is missing, damaged, of another version of the format, or lacks
            what the view asks for.
    """
    root = dataset_folder(path, view or View())
    if is_foreign(root):
        return ForeignDataset.open(root, view)
    view = view or View()
    view.require_own()
    dataset = LeRobotDataset.open(root)
    return dataset if view.stride == 1 else StridedDataset(dataset, view.stride)


def camera_keys(path: str | Path) -> tuple[str, ...]:
    """Gives the keys of a dataset's cameras, () where its folder cannot be read."""
    try:
        return read_foreign_info(dataset_folder(path)).camera_keys
    except DatasetError:
        return ()


def is_foreign(path: Path) -> bool:
    """Whether others wrote a folder's info.json; what cannot be read is ours."""
    try:
        return "worldmodel" not in read_object(path / layout.INFO)
    except (WorldModelError, OSError):
        return False
