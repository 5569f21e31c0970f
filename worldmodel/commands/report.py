"""Remakes every table and paired comparison from results.json files alone.

Results of different protocols, or on different problems, are not mixed but refused.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig, ListConfig

from worldmodel.errors import OptionError
from worldmodel.evaluation.results import Results, Row, load_results
from worldmodel.evaluation.tables import report
from worldmodel.files.atomic import new_file

EXAMPLE = "worldmodel report results=[runs/a/results.json,runs/b] out=table.md"
RESULTS_FILE = "results.json"


def run(config: DictConfig) -> int:
    """Prints the tables, and writes them where `out` says."""
    results = [load_results(path) for path in _paths(config.results)]
    text = report(_without_repeats(results))
    print(text)
    if config.out:
        path = Path(config.out).expanduser()
        with new_file(path) as staging:
            staging.write_text(text, encoding="utf-8")
        print(f"the tables are in {path}")
    return 0


def _paths(option: object) -> list[Path]:
    names = list(option) if isinstance(option, ListConfig) else [option]
    if not names or not all(isinstance(name, str) for name in names):
        raise OptionError(f"results must be one file or a list of them, got {option}")
    paths = [Path(str(name)).expanduser() for name in names]
    return [path / RESULTS_FILE if path.is_dir() else path for path in paths]


def _without_repeats(results: list[Results]) -> list[Results]:
    """Gives the results with equal rows once: runs on one problem set share a floor."""
    kept: list[Row] = []
    smaller = []
    for result in results:
        rows = []
        for row in result.rows:
            if row not in kept:
                kept.append(row)
                rows.append(row)
        smaller.append(replace(result, rows=tuple(rows)))
    return smaller
