import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from worldmodel import resources
from worldmodel.errors import WorldModelError

ROOT = Path(__file__).parent.parent


def test_the_checkout_has_configs_and_weights():
    assert resources.configs_folder() == ROOT / "configs"
    assert resources.weights_folder() == ROOT / "weights"


def test_every_shipped_name_is_found():
    for name in resources.shipped_weights():
        assert (resources.find_weights(name) / "config.json").is_file()


def test_a_folder_is_found_by_its_path(tmp_path):
    assert resources.find_weights(tmp_path) == tmp_path


def test_unknown_weights_name_what_is_shipped():
    with pytest.raises(WorldModelError, match=r"no checkpoint 'nothing'.*shipped name"):
        resources.find_weights("nothing")


def test_missing_configs_say_where_they_were_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "PACKAGE", tmp_path / "worldmodel")
    with pytest.raises(WorldModelError, match="_configs"):
        resources.configs_folder()


def test_a_wheel_carries_configs_and_weights_into_an_empty_folder(tmp_path):
    wheels, site, empty = tmp_path / "wheels", tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    command = ["hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, check=True, capture_output=True
    )
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    assert {"worldmodel", "planners", "envs"} <= {f.name for f in site.iterdir()}
    program = (
        "from worldmodel import resources as r\n"
        "print(r.configs_folder()); print(r.weights_folder())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=empty,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=True,
        capture_output=True,
        text=True,
    )
    configs, weights = map(Path, done.stdout.splitlines())
    assert configs == site / "worldmodel" / "_configs"
    assert weights == site / "worldmodel" / "_weights"
    for shipped, source in ((configs, ROOT / "configs"), (weights, ROOT / "weights")):
        assert _files(shipped) == _files(source)


def _files(folder: Path) -> set[str]:
    return {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()}
