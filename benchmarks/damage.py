"""Ways to damage files, for tests and benchmarks of what is said then."""

from __future__ import annotations

import json
from pathlib import Path


def set_json(file: Path, path: str, value: object, between: str = "/") -> None:
    """Sets a value in a JSON file.

    Args:
        file: holds an object.
        path: keys from the outermost on, e.g. "features/action/shape".
        value: what stands there then; ... takes the key away.
        between: stands between two keys.
    """
    whole = json.loads(file.read_text())
    *parents, last = path.split(between)
    node = whole
    for name in parents:
        node = node[name]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    file.write_text(json.dumps(whole))


def overwrite(name: str, content: bytes, root: Path) -> None:
    """Puts something else into a file of a folder."""
    (root / name).write_bytes(content)


def take_away(name: str, root: Path) -> None:
    """Takes a file of a folder away."""
    (root / name).unlink()


def cut_off(name: str, root: Path) -> None:
    """Leaves the first half of a file of a folder."""
    content = (root / name).read_bytes()
    (root / name).write_bytes(content[: len(content) // 2])
