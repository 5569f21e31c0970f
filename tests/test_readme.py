"""Runs the Python snippets of the documents that are marked "```python runnable"."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^```python runnable\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def snippets(text):
    return FENCE.findall(text)


CASES = [
    pytest.param(code, id=f"{path.name}-{number}")
    for path in DOCUMENTS
    if path.exists()
    for number, code in enumerate(snippets(path.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize("code", CASES)
def test_a_snippet_runs_in_an_empty_folder(code, tmp_path):
    program = tmp_path / "snippet.py"
    program.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-P", str(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr


def test_only_marked_snippets_are_found():
    text = "```python runnable\na = 1\n```\n```python\nb\n```\n```bash\nc\n```\n"
    assert snippets(text) == ["a = 1\n"]
