"""Tables in markdown, made from results alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from worldmodel.errors import WorldModelError
from worldmodel.evaluation.protocol import ProtocolMismatch, require_same
from worldmodel.evaluation.results import Results, Row
from worldmodel.evaluation.statistics import (
    Paired,
    mcnemar,
    percentile,
    wilson_interval,
)

_END = "median end [cm]"
_END_OF_ANY = "median end"  # its unit stands in the cell
_HEADER = (
    "task",
    "method",
    "success",
    "95% interval",
    "n",
    "floor",
    "ever",
    _END,
    "ms p50",
    "ms p99",
    "GFLOP/s fp32 / bf16",
    "on",
)
_NOT_MEASURED = "–"


def report(results: Iterable[Results]) -> str:
    """Gives every table and every paired comparison of some results.

    Rows stand together where name and split of the protocol agree; below each table
    come the paired comparisons of its methods.
    """
    rows = [row for result in results for row in result.rows]
    if not rows:
        raise WorldModelError("a report needs at least 1 row of results, got 0")
    sections = []
    for key in dict.fromkeys((row.protocol.name, row.protocol.split) for row in rows):
        group = [row for row in rows if (row.protocol.name, row.protocol.split) == key]
        parts = [f"## {key[0]}, {key[1]} problems", table(group)]
        pairs = paired_table(group)
        sections.append("\n\n".join([*parts, pairs] if pairs else parts))
    return "\n\n".join(sections) + "\n"


def table(rows: Sequence[Row]) -> str:
    """Gives one table, one line per method and task, the floor beside each.

    Raises:
        ProtocolMismatch: Rows of one task come from different protocols or problems,
            or tasks from protocols of different names or splits.
        WorldModelError: A task has no floor.
    """
    _require_comparable(rows)
    machines = list(dict.fromkeys(row.timing.hardware for row in rows if row.timing))
    units = {end_unit(row) for row in rows}
    header = _HEADER
    if units != {""}:
        header = tuple(_END_OF_ANY if name == _END else name for name in _HEADER)
    lines = [_line(header), _line(["---"] * len(header))]
    for task in dict.fromkeys(row.protocol.task for row in rows):
        of_task = [row for row in rows if row.protocol.task == task]
        floor = _floor(of_task)
        lines += [_line(_cells(row, floor, machines)) for row in of_task]
    legend = [f"{_letter(i)}: {machine}" for i, machine in enumerate(machines)]
    legend += [
        f"{row.protocol.task}: protocol {row.protocol.name} {row.protocol.hash}, "
        f"{row.protocol.budget} steps, problems {row.problems}"
        for row in {row.protocol.task: row for row in rows}.values()
    ]
    return "\n".join(lines) + "\n\n" + "  \n".join(legend)


def compare(first: Row, second: Row) -> Paired:
    """Compares two methods problem by problem.

    Raises:
        ProtocolMismatch: They did not meet on the same problems.
    """
    _require_same_problems([first, second])
    return mcnemar(
        [episode.success for episode in first.episodes],
        [episode.success for episode in second.episodes],
    )


def paired_table(rows: Sequence[Row]) -> str:
    """Gives all paired comparisons within each task, or nothing without a pair."""
    lines = []
    for first, second in combinations(rows, 2):
        floors = "floor" in (first.method.kind, second.method.kind)
        if first.protocol.task != second.protocol.task or floors:
            continue
        pair = compare(first, second)
        lines.append(
            _line(
                (
                    first.protocol.task,
                    f"{first.method.name} − {second.method.name}",
                    f"{100 * pair.difference:+.1f}",
                    str(pair.n),
                    str(pair.only_first),
                    str(pair.only_second),
                    f"{pair.p_value:.2g}",
                )
            )
        )
    if not lines:
        return ""
    header = (
        "task",
        "pair",
        "difference [points]",
        "n",
        "only first",
        "only second",
        "p (McNemar)",
    )
    return "\n".join([_line(header), _line(["---"] * len(header)), *lines])


def _cells(row: Row, floor: Row, machines: Sequence[str]) -> list[str]:
    n = row.protocol.n
    low, high = wilson_interval(row.successes, n)
    ends = [episode.final_distance for episode in row.episodes]
    timing = row.timing
    kind = "" if row.method.kind == "method" else f" ({row.method.kind})"
    measured = [_NOT_MEASURED] * 4
    if timing is not None:
        measured = [
            f"{timing.p50_ms:.1f}",
            f"{timing.p99_ms:.1f}",
            f"{timing.matmul.fp32_gflops:.0f} / {timing.matmul.bf16_gflops:.0f}",
            _letter(machines.index(timing.hardware)),
        ]
    return [
        row.protocol.task,
        row.method.name + kind,
        _percent(row.successes, n),
        f"{100 * low:.1f} to {100 * high:.1f}",
        str(n),
        _percent(floor.successes, n),
        _percent(row.ever, n),
        _length(percentile(ends, 50), end_unit(row)),
        *measured,
    ]


def _require_comparable(rows: Sequence[Row]) -> None:
    if not rows:
        raise WorldModelError("a table needs at least 1 row, got 0")
    kinds = list(dict.fromkeys((r.protocol.name, r.protocol.split) for r in rows))
    if len(kinds) > 1:
        raise ProtocolMismatch(
            "one table cannot hold several protocols, got "
            + " and ".join(f"{name!r} on {split!r}" for name, split in kinds)
        )
    for task in dict.fromkeys(row.protocol.task for row in rows):
        _require_same_problems([row for row in rows if row.protocol.task == task])


def _require_same_problems(rows: Sequence[Row]) -> None:
    protocol = require_same(row.protocol for row in rows)
    sets = list(dict.fromkeys(row.problems for row in rows))
    if len(sets) > 1:
        raise ProtocolMismatch(
            f"methods must meet on the same problems: protocol {protocol.name!r} on "
            f"{protocol.task} was run on sets {' and '.join(sets)}; evaluate all on "
            "one saved set"
        )


def _floor(rows: Sequence[Row]) -> Row:
    for row in rows:
        if row.method.kind == "floor":
            return row
    protocol = rows[0].protocol
    raise WorldModelError(
        f"no floor for {protocol.task} under protocol {protocol.name!r} "
        f"{protocol.hash}: evaluate random actions on the same problems"
    )


def end_unit(row: Row) -> str:
    """Gives the unit that the name of the main distance ends with, "" for metres."""
    name = next(iter(row.episodes[0].final), "")
    return name.rpartition("[")[2].removesuffix("]") if name.endswith("]") else ""


def _length(distance: float, unit: str) -> str:
    return f"{distance:.3g} {unit}" if unit else f"{100 * distance:.1f}"


def _percent(count: int, n: int) -> str:
    return f"{100 * count / n:.1f}%"


def _letter(index: int) -> str:
    return chr(ord("a") + index)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
