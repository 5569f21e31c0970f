"""One part taken away at a time: what does success owe to which part?

    python -m benchmarks.ablations train --reference runs/reference
    python -m benchmarks.ablations run --out runs/ablations
    python -m benchmarks.ablations report --out runs/ablations

`run` evaluates the whole model and each removal on the same 200 validation problems of
each task, problems side by side (`batch_invariant=false`), one after the other; a task
of a row that is there already is left alone, so a killed run goes on where it stopped.
`report` writes `docs/results/ablations.json`, from which it remakes the table: solved,
ever, Wilson's interval, and McNemar's test against the whole.

Rows that need another training take their models from `--models FOLDER`. `train` makes
them, from the play, first model and practice that `make reference` leaves, and records
the play without experts that one row needs; killed, it goes on where it was. A row
whose model is missing is left out, and said so.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.blinding import PARTS as BLIND
from benchmarks.blinding import blind
from benchmarks.runs import evaluate, method_row, worldmodel_command
from worldmodel.evaluation.results import Row
from worldmodel.evaluation.statistics import mcnemar, wilson_interval
from worldmodel.model import WorldModel
from worldmodel.resources import find_weights

N = 200
TASKS = ("reach", "push", "pick_place")
RESULTS = Path("docs/results/ablations.json")
COMMIT = "commit"  # of the tree that a row's folder was begun with
# Rows of weights or code that are there no longer, whose results stay, and the row each
# is compared with.
# "whole" is the model that shipped before the first row, "things and there" the same
# weights with the cost that ships since. "practice" and "smaller recipe" are other
# trainings on the same encoder: without on-policy collection; and with fewer loss terms
# and stages 3 to 5 in one optimisation, which shipped then. "six loss terms" is trained
# anew from the same play, without the encoder's prediction, inverse, contrast, sigreg
# and blobs and the projector's sigreg (weights 0), with the practice of the smaller
# recipe's models. "nine loss terms" is what the tabletop's recipe is since: these
# terms, stage 1 by the plain recipe's objective, with practice that the smaller
# recipe's model planned. "float32" is the smaller recipe's weights on a processor
# without AVX-512, where all after it were run; "last mean" a search that does not
# evaluate it, as all since. "two predictors" is the nine terms' model with another
# predictor, of half as many steps, which judges the 16 cheapest candidates of an
# iteration beside the first.
GONE = {
    "whole": "whole",
    "things": "whole",
    "there": "whole",
    "still": "whole",
    "things and there": "whole",
    "temporal distance alone": "whole",
    "running": "things and there",
    "proposals": "things and there",
    "min_improvement": "things and there",
    "proprio_estimator": "things and there",
    "practice": "things and there",
    "smaller recipe, no practice": "practice",
    "smaller recipe, one round": "things and there",
    "smaller recipe": "whole",
    "video tokens": "smaller recipe",
    "colour blobs": "smaller recipe",
    "move_threshold": "smaller recipe",
    "proprio_goal": "smaller recipe",
    "proprio_correction": "smaller recipe",
    "latent distance": "smaller recipe",
    "tiles": "smaller recipe",
    "six loss terms": "smaller recipe",
    "float32": "smaller recipe",
    "last mean": "float32",
    "nine loss terms": "float32",
    "two predictors": "nine loss terms",
    "nine, video tokens": "nine loss terms",
    "nine, last mean": "nine loss terms",
    "nine, practice": "nine loss terms",
}
# The nine terms with practice that models of their own planned: what ships.
SHIPPED = "own rounds"
COST = {
    "proprio_goal": 1.0,
    "move_threshold": 0.4,
    "running": 0.3,
    "min_improvement": 0.03,
}
NO_EXPERTS = "no practice and no experts in play"  # the row with other play
# What each row that has a model of its own is trained with beside play and the
# reference's encoder and first model.
TRAININGS = {
    "no practice of own rounds": (),
    NO_EXPERTS: (),
    "second seed of own rounds": (
        "seed=1",
        "practice=[{reference}/practice1,{reference}/practice2]",
    ),
}


@dataclass(frozen=True)
class Removal:
    """A row of the table.

    Attributes:
        name: what is taken away, also the name of its folder.
        options: of `worldmodel evaluate`.
        without: parts taken out of the shipped checkpoint, or that it is made blind to.
        trained: whether the row has a model of its own, under `--models`.
        base: the row that it is compared with.
    """

    name: str
    options: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    trained: bool = False
    base: str = SHIPPED


def cost(**changed: float) -> tuple[str, ...]:
    """The shipped goal cost with other weights, as options."""
    weights = COST | changed
    return ("cost=temporal", *(f"cost.{name}={w}" for name, w in weights.items()))


def rows() -> list[Removal]:
    """All rows, in the order in which they were made."""
    latent = ("cost=latent", "cost.running=0.3", "min_improvement=0")
    proprio = ("proprio_estimator", "proprio_correction")
    return [
        *(Removal(name, base=base) for name, base in GONE.items()),
        Removal(SHIPPED, base="last mean"),
        Removal("video tokens of own rounds", without=("video tokens",)),
        Removal("colour blobs of own rounds", without=("colour blobs",)),
        Removal("move_threshold of own rounds", cost(move_threshold=0.0)),
        Removal("proprio_goal of own rounds", cost(proprio_goal=0.0)),
        Removal("proprio_correction of own rounds", without=proprio),
        Removal("latent distance of own rounds", latent),
        Removal("tiles of own rounds", ("batch_invariant=true",)),
        Removal("no practice of own rounds", trained=True),
        Removal(NO_EXPERTS, trained=True, base="no practice of own rounds"),
        Removal("second seed of own rounds", trained=True),
    ]


def main() -> None:
    """Evaluates what is missing, or reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("train", "run", "report"))
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--models", type=Path, default=Path("runs/ablation_models"))
    parser.add_argument("--reference", type=Path, default=Path("runs/reference"))
    parser.add_argument("--only", nargs="*", help="names of rows; all by default")
    options = parser.parse_args()
    if options.what == "report":
        report(options.out)
        return
    if options.what == "train":
        for name in TRAININGS:
            if not options.only or name in options.only:
                train(name, options.reference, options.models)
        return
    for removal in rows():
        asked = not options.only or removal.name in options.only
        if asked and removal.name not in GONE:
            run(removal, options.out, options.models)


def train(name: str, reference: Path, models: Path) -> None:
    """Trains a row's model on one core; records play without experts where it asks."""
    play = reference / "play"
    if name == NO_EXPERTS:
        play = models / "play_without_experts"
        mix = [f"mix.{expert}=0" for expert in ("push", "pick", "botch")]
        worldmodel_command(["collect", f"out={play}", *mix], threads=1)
    worldmodel_command(
        [
            "train",
            "recipe=tabletop",
            f"data={play}",
            f"encoder={reference / 'pretrain/encoder'}",
            f"projector_from={reference / 'train0/model'}",
            f"tokens={reference / 'tokens'}",
            f"out={models / name.replace(' ', '_')}",
            *(option.format(reference=reference) for option in TRAININGS[name]),
        ],
        threads=1,
    )


def run(removal: Removal, out: Path, models: Path) -> None:
    """Evaluates a row's tasks that are missing, on one core; the next go on after."""
    model = find_weights("reference")
    if removal.trained:
        model = models / removal.name.replace(" ", "_") / "model"
        if not model.is_dir():
            print(f"{removal.name}: no model in {model}, left out", file=sys.stderr)
            return
    elif removal.without:
        model = out / "models" / removal.name
        if not model.is_dir():
            take_out(removal.without, model)
    same = [f"n={N}", "group=25", "timing=0", "film=[]", f"problems={out / 'problems'}"]
    if "batch_invariant=true" not in removal.options:
        same.append("batch_invariant=false")
    folder = out / removal.name
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / COMMIT).exists():
        (folder / COMMIT).write_text(head())
    for task in TASKS:
        try:
            evaluate(
                [f"model={model}", *removal.options, *same],
                folder / task,
                threads=1,
                task=task,
            )
            print(removal.name, task, "done", flush=True)
        except RuntimeError as error:
            print(error, file=sys.stderr, flush=True)


def take_out(parts: tuple[str, ...], path: Path) -> None:
    """Writes the shipped model without some parts."""
    model = WorldModel.from_pretrained(find_weights("reference"))
    without = {"proprio_correction": 0, "proprio_estimator": None}
    spec = dict(vars(model.spec))
    for part in parts:
        if part in BLIND:
            blind(model, part)
            continue
        spec[part] = without[part]
        setattr(model, part, None)
    model.spec = type(model.spec)(**spec)
    model.save_pretrained(path, "The shipped model without " + " and ".join(parts))


def report(out: Path) -> None:
    """Adds the rows of a run to the kept results, and prints the table."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for removal in rows():
        found = {}
        for task in TASKS:
            row = method_row(out / removal.name / task)
            if row is not None:
                found[task] = outcomes(row)
        before = kept.get(removal.name, {})
        if found and any(before.get(task) != one for task, one in found.items()):
            kept[removal.name] = {
                "commit": (out / removal.name / COMMIT).read_text(),
                "options": list(removal.options),
                **found,
            }
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    print(table(kept))


def head() -> str:
    """The commit of the tree."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def outcomes(row: Row) -> dict[str, Any]:
    """What is kept of a row: outcomes as one text each, a digit a problem."""
    return {
        "problems": row.problems,
        "model": row.method.model_hash,
        "success": "".join(str(int(e.success)) for e in row.episodes),
        "ever": "".join(str(int(e.ever)) for e in row.episodes),
    }


def table(kept: dict[str, Any]) -> str:
    """The rows as Markdown, each beside the row that it is compared with."""
    lines = [
        "| without | Reach | Push | PickPlace |",
        "|---|---|---|---|",
    ]
    for removal in rows():
        if removal.name in kept:
            cells = [cell(kept, removal, task) for task in TASKS]
            lines.append(f"| {removal.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(kept: dict[str, Any], removal: Removal, task: str) -> str:
    """Solved, ever, the interval; gained and lost against the base, and p."""
    one = kept[removal.name].get(task)
    if one is None:
        return "–"
    solved = [digit == "1" for digit in one["success"]]
    low, high = wilson_interval(sum(solved), len(solved))
    text = (
        f"{sum(solved)} ({one['ever'].count('1')}) [{100 * low:.0f}, {100 * high:.0f}]"
    )
    other = kept.get(removal.base, {}).get(task)
    if other is None or removal.name == removal.base:
        return text
    assert one["problems"] == other["problems"], "paired rows share their problems"
    pair = mcnemar(solved, [digit == "1" for digit in other["success"]])
    return f"{text}; +{pair.only_first} −{pair.only_second}, p={pair.p_value:.2g}"


if __name__ == "__main__":
    main()
