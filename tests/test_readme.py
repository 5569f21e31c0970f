"""Runs the Python snippets of the documents that are marked "```python runnable"."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^```python runnable\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def snippets(text):
    return FENCE.findall(text)


CODES = {
    f"{path.stem}_{number}": code
    for path in DOCUMENTS
    if path.exists()
    for number, code in enumerate(snippets(path.read_text(encoding="utf-8")))
}
# Each in a process and a folder of its own; torch, which all need, is imported once.
DRIVER = """
import os, runpy, sys
import torch
for folder in sys.argv[1:]:
    child = os.fork()
    if not child:
        os.chdir(folder)
        runpy.run_path("snippet.py", run_name="__main__")
        break
    if os.waitpid(child, 0)[1]:
        sys.exit(f"the snippet {folder} failed")
"""


def test_snippets_run_in_an_empty_folder(tmp_path):
    for name, code in CODES.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "snippet.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-P", "-c", DRIVER, *CODES],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert len(CODES) >= 2


def test_only_marked_snippets_are_found():
    text = "```python runnable\na = 1\n```\n```python\nb\n```\n```bash\nc\n```\n"
    assert snippets(text) == ["a = 1\n"]
