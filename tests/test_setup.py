"""The parts of the set-up that can be tried without installing anything."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("python", ["/bin/false", "no-such-python"])
def test_without_a_new_python_one_line_says_what_is_needed(python, tmp_path):
    done = subprocess.run(
        [ROOT / "tools" / "setup.sh", tmp_path / "venv"],
        env={**os.environ, "PYTHON": python},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("setup: Python 3.11 or newer is needed")
    assert python in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "venv").exists()


def test_peers_are_made_by_one_of_two_names():
    done = subprocess.run(
        [ROOT / "tools" / "peers.sh", "all"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == "peers.sh: the only option is full, got 'all'\n"


def test_ci_runs_the_tests():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text()
