"""One JSON of all rows, and the tables that are made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.ablations import head, outcomes
from benchmarks.encoders.rows import FOIL, RANDOM, ROWS, SHIPPED
from benchmarks.encoders.running import BLIND, FIGURES
from benchmarks.runs import method_row
from worldmodel.commands.run_folder import CONFIG_FILE, SOURCES_FILE, saved_config
from worldmodel.commands.training_log import read_log
from worldmodel.evaluation.statistics import mcnemar, wilson_interval
from worldmodel.files.json_file import read_object
from worldmodel.hardware import hardware

Record = dict[str, Any]
Results = dict[str, dict[str, Record]]
"""A record by the name of the row and "seed0"."""

RANK = "token_effective_rank"
TITLES = {"reach": "Reach", "push": "Push", "pick_place": "PickPlace"}
PROBED = {
    "gripper_cm": "gripper [cm]",
    "gripper_yaw_deg": "its yaw [°]",
    "cube_on_table_cm": "cube on table [cm]",
    "cube_on_table_yaw_deg": "its yaw [°]",
    "cube_in_air_cm": "cube in air [cm]",
}


def gathered(out: Path, kept: Results) -> Results:
    """The kept results with those of the rows that a run has left."""
    found = {name: dict(seeds) for name, seeds in kept.items()}
    for seed in sorted(path for path in out.glob("seed*") if path.is_dir()):
        for name in names():
            record = recorded(seed / name)
            before = kept.get(name, {}).get(seed.name, {})
            if record and any(before.get(key) != part for key, part in record.items()):
                made = {"commit": head(), "hardware": hardware().describe()}
                made["what"] = ROWS[name.removesuffix(BLIND)].text
                found.setdefault(name, {})[seed.name] = made | record
    return found


def names() -> Iterator[str]:
    """Of all rows, blind ones beside those that see."""
    for name in ROWS:
        yield name
        yield name + BLIND


def recorded(folder: Path) -> Record:
    """What a row's folder holds, empty where there is nothing yet."""
    record: Record = {}
    if (folder / CONFIG_FILE).exists():
        record["settings"] = saved_config(folder / CONFIG_FILE)
    for key, file in (
        ("sources", SOURCES_FILE),
        ("plan", "plan.json"),
        ("seconds", "clock.json"),
        ("figures", FIGURES),
    ):
        if (folder / file).exists():
            record[key] = read_object(folder / file)
    if log := read_log(folder / "pretrain.jsonl"):
        record["watched"] = [log[0], log[-1]]
    tasks: Record = {}
    for task in TITLES:
        for place in sorted(folder.glob(f"{task}_[0-9]*")):
            if (row := method_row(place)) is not None:
                tasks[task] = outcomes(row)
    return record | ({"tasks": tasks} if tasks else {})


def report(out: Path, path: Path) -> str:
    """Adds a run's rows to the kept results; gives the tables as Markdown."""
    results = gathered(out, json.loads(path.read_text()) if path.exists() else {})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return tables(results)


def tables(results: Results) -> str:
    """Success, what latents tell, and what it cost, a line for each row and seed."""
    parts = (success_table, probe_table, cost_table)
    return "\n\n".join("\n".join(part(results)) for part in parts)


def success_table(results: Results) -> list[str]:
    """Solved problems; gained, lost and p against the best row, random and the foil."""
    best = winner(results)
    against = [name for name in dict.fromkeys((best, RANDOM, FOIL)) if name]
    lines = _head(
        ["row", "seed", *TITLES.values(), *(f"all, against {name}" for name in against)]
    )
    for name, seed, record in _records(results):
        cells = [_solved(record, task) for task in TITLES]
        cells += [_paired(record, results.get(a, {}).get(seed, {})) for a in against]
        lines.append(_line([name, seed.removeprefix("seed"), *cells]))
    return lines


def probe_table(results: Results) -> list[str]:
    """Root mean square errors: linear on tokens, linear and network on latents."""
    costs = ("temporal", "latent")
    ranked = [f"{cost}, {body}" for cost in costs for body in ("gripper", "cube")]
    lines = _head(["row", "seed", *PROBED.values(), "rank", *ranked])
    for name, seed, record in _records(results):
        if "figures" not in record:
            continue
        probes, ranking = record["figures"]["probes"], record["figures"]["ranking"]
        cells = [
            " / ".join(
                f"{probes[kind][case][0]:.1f}" if case in probes[kind] else "–"
                for kind in ("tokens_linear", "latents_linear", "latents_network")
            )
            for case in PROBED
        ]
        stats = record["figures"]["collapse"]
        cells.append(" / ".join(f"{stats[of]['effective_rank']:.0f}" for of in stats))
        for key in (text.replace(", ", "_") for text in ranked):
            cells.append(f"{ranking[key]['along']:.2f}" if key in ranking else "–")
        lines.append(_line([name, seed.removeprefix("seed"), *cells]))
    return lines


def cost_table(results: Results) -> list[str]:
    """Compute of the pretraining, and how varied tokens were at its begin and end."""
    lines = _head(
        [
            "row",
            "seed",
            "steps",
            "million moments",
            "TFLOP",
            "processor [s]",
            "wall [s]",
        ]
        + ["token std", "token rank"]
    )
    for name, seed, record in _records(results):
        if "watched" not in record:
            continue
        plan, (first, last) = record["plan"], record["watched"]
        steps = int(last["step"])
        wall, processor = record["seconds"]["pretrain"]
        cells = [
            str(steps),
            f"{1e-6 * steps * plan['moments']:.2f}",
            f"{1e-12 * steps * plan['flops']:.1f}",
            f"{processor:.0f}",
            f"{wall:.0f}",
            f"{first['token_std']:.2f} to {last['token_std']:.2f}",
            f"{first[RANK]:.0f} to {last[RANK]:.0f}",
        ]
        lines.append(_line([name, seed.removeprefix("seed"), *cells]))
    return lines


def winner(results: Results) -> str | None:
    """The trained row that solves most, by its mean over seeds; None where none has."""
    rates: dict[str, list[float]] = {}
    for name, _, record in _records(results):
        if name != SHIPPED and not name.endswith(BLIND) and record.get("tasks"):
            digits = "".join(task["success"] for task in record["tasks"].values())
            rates.setdefault(name, []).append(digits.count("1") / len(digits))
    means = {name: sum(some) / len(some) for name, some in rates.items()}
    return max(means, key=means.__getitem__) if means else None


def _solved(record: Record, task: str) -> str:
    if task not in record.get("tasks", {}):
        return "–"
    digits = record["tasks"][task]["success"]
    solved, n = digits.count("1"), len(digits)
    low, high = wilson_interval(solved, n)
    return f"{solved}/{n} [{100 * low:.0f}, {100 * high:.0f}]"


def _paired(record: Record, other: Record) -> str:
    """McNemar's test over the problems of all tasks that both rows have."""
    pairs = []
    for task, mine in record.get("tasks", {}).items():
        theirs = other.get("tasks", {}).get(task)
        if theirs is not None and theirs["problems"] == mine["problems"]:
            pairs += zip(mine["success"], theirs["success"], strict=True)
    if not pairs or other is record:
        return "–"
    test = mcnemar([a == "1" for a, _ in pairs], [b == "1" for _, b in pairs])
    return f"+{test.only_first} −{test.only_second}, p={test.p_value:.2g}"


def _records(results: Results) -> Iterator[tuple[str, str, Record]]:
    for name in names():
        for seed, record in sorted(results.get(name, {}).items()):
            yield name, seed, record


def _head(titles: list[str]) -> list[str]:
    return [_line(titles), _line(["---"] * len(titles))]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
