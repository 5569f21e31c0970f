"""How much data: success over the number of episodes that are learned from.

    python -m benchmarks.how_much --data data/pusht/lerobot --episodes 50 100 200 400 \
        --out runs/how_much --evaluate env=swm/PushT-v1 states=sim_state

For each number, `pretrain` and `train` on the first so many episodes for training, in
as many steps whatever their number, then `evaluate`, all on the same problems, whose
starts and goals are of episodes that nobody learned from. It writes how_much.json and,
with matplotlib, how_much.png. What is there is left alone, and a command that was
killed goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.curves import Axis, draw, outcome
from benchmarks.runs import worldmodel_command
from worldmodel.evaluation.results import load_results
from worldmodel.files.atomic import new_file
from worldmodel.hardware import hardware

AXIS = Axis("episodes", "episodes learned from", is_log=True)


def main() -> None:
    """Makes the points one after the other, and writes the curve after each."""
    options = _options()
    records: list[dict[str, Any]] = []
    for episodes in sorted(set(options.episodes)):
        try:
            records.append(point(episodes, options))
        except RuntimeError as error:
            sys.exit(str(error))
        write(records, options.out)
        ours = records[-1]["ours"]
        print(f"{episodes} episodes: {ours['solved']} of {ours['n']}", flush=True)
    print(f"how_much.json is in {options.out}")


def point(episodes: int, options: argparse.Namespace) -> dict[str, Any]:
    """Gives what comes of so many episodes; makes what is missing.

    Raises:
        RuntimeError: A command failed; with the end of what it said.
    """
    out = options.out / f"{episodes}"
    data = [f"data={options.data}", f"episodes={episodes}"]
    encoder, model = out / "pretrain" / "encoder", out / "train" / "model"
    # A finished run is left as it is, and one of other options is refused.
    where = f"out={out / 'pretrain'}"
    worldmodel_command(["pretrain", *data, where, *options.pretrain])
    places = [f"encoder={encoder}", f"out={out / 'train'}"]
    worldmodel_command(["train", *data, *places, *options.train])
    results = out / "evaluate" / "results.json"
    worldmodel_command(
        [
            *("evaluate", f"model={model}", f"goals={options.data}"),
            *(f"n={options.n}", "timing=0", "film=0", "batch_invariant=false"),
            f"problems={options.out / 'problems'}",
            *options.evaluate,
            f"out={results.parent}",
        ]
    )
    rows = load_results(results).rows
    parts = {row.method.kind: outcome(row.episodes) for row in rows}
    return {"episodes": episodes, "ours": parts["method"], "floor": parts["floor"]}


def write(records: list[dict[str, Any]], out: Path) -> None:
    """Writes the curve, and draws it where matplotlib is installed."""
    told = {"hardware": hardware().describe(), "points": records}
    with new_file(out / "how_much.json") as staged:
        staged.write_text(json.dumps(told, indent=1) + "\n")
    line = [{"episodes": one["episodes"], **one["ours"]} for one in records]
    draw({"ours": line}, AXIS, out / "how_much.png", records[0]["floor"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--episodes", type=int, nargs="+", required=True)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("runs/how_much"))
    for command in ("pretrain", "train", "evaluate"):
        parser.add_argument(
            f"--{command}", nargs="*", default=[], help=f"options of {command}"
        )
    return parser.parse_args()


if __name__ == "__main__":
    main()
