"""Datasets by their name on the hub, of which a stand-in copies files."""

import fnmatch
import shutil
import sys
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import errors

from tests.data.lerobot_like import CAMERA, REAL, VIDEO, Made, change_info, write
from worldmodel.commands.main import main
from worldmodel.data import DatasetError, View, camera_keys, open_dataset
from worldmodel.data.foreign import ForeignDataset

NAME = "hub:owner/two.arms"
BROKEN = errors.HfHubHTTPError.__bases__[0]  # what the client's HTTP library raises


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a dataset, whose files are downloaded to the folder `here`."""
    there, here = tmp_path / "there", tmp_path / "here"
    write(there, Made(codec="libx264"))
    wrist = there / VIDEO.replace(CAMERA, "observation.images.wrist")
    wrist.parent.mkdir(parents=True)
    shutil.copy(there / VIDEO, wrist)
    video = {"dtype": "video", "shape": [32, 48, 3]}
    change_info(there, "features/observation.images.wrist", video)

    def snapshot_download(name, *, repo_type, revision, allow_patterns):
        assert (name, repo_type) == ("owner/two.arms", "dataset")
        assert revision in (None, "v3.0")
        for file in there.rglob("*"):
            place = file.relative_to(there).as_posix()
            if file.is_file() and any(
                fnmatch.fnmatch(place, p) for p in allow_patterns
            ):
                (here / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, here / place)
        return str(here)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return here


def test_only_what_is_used_is_downloaded(hub: Path):
    assert camera_keys(NAME) == (CAMERA, "observation.images.wrist")
    assert {file.name for file in hub.iterdir()} == {"meta"}
    with pytest.raises(DatasetError, match="has 2 cameras, name one with camera="):
        open_dataset(NAME)
    assert {file.name for file in hub.iterdir()} == {"meta"}
    dataset = open_dataset(f"{NAME}@v3.0", View(CAMERA))
    assert isinstance(dataset, ForeignDataset)
    assert dataset.path == hub
    assert dataset.episode(2).frames.shape == (7, 32, 48, 3)
    assert [file.name for file in (hub / "videos").iterdir()] == [CAMERA]


def test_the_commands_take_a_name(hub: Path, capsys):
    assert main(["inspect", f"data={NAME}", f"camera={CAMERA}"]) == 0
    assert "problems    none; pictures of 3 of 3" in capsys.readouterr().out


def test_a_dataset_of_an_older_format_is_refused_before_its_rows_come(hub: Path):
    change_info(hub.parent / "there", "codebase_version", "v2.1")
    with pytest.raises(DatasetError, match="convert_dataset_v21_to_v30"):
        open_dataset(NAME)
    assert {file.name for file in hub.iterdir()} == {"meta"}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.LocalEntryNotFoundError("?"), "is not here, and the hub cannot be rea"),
        (errors.HFValidationError("too long\nreally"), r"downloaded \(too long\): do"),
        (BROKEN("reset"), r"downloaded \(reset\): download its meta/\* to a folder"),
        (OSError(28, "No space left on device"), r"\(\[Errno 28\] No space left on de"),
    ],
)
def test_what_cannot_be_downloaded_is_one_line(error, message, monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(DatasetError, match=message) as caught:
        open_dataset(NAME)
    text = str(caught.value)
    assert "download its meta/* to a folder where there is a network" in text
    assert "\n" not in text
    for command in ("inspect", "pretrain"):
        assert main([command, f"data={NAME}"]) == 2
        assert capsys.readouterr().err == f"error: {text}\n"


def test_offline_the_real_client_has_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DatasetError, match=r"the dataset owner/two\.arms is not here"):
        open_dataset(NAME)


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(DatasetError, match=r"install worldmodel-planner\[hub\]; or"):
        open_dataset(NAME)
    assert open_dataset(REAL / "pusht_video").frames == 1280


@pytest.mark.parametrize(
    "name", ["hub:", "hub:pusht", "hub:a/b/c", "hub:a/b@", "hub:a b/c"]
)
def test_a_name_has_an_owner(name):
    with pytest.raises(DatasetError, match="write hub:owner/name, or hub:own"):
        open_dataset(name)
