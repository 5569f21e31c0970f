"""The tiny runs that `benchmarks.kills` kills, and what they leave on the disk."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

SIDE = 32  # [px]
OFTEN = 0.2  # seconds between two saved states [s]
ENCODER = "recipe.model.encoder"
COLLECT = ("episodes=10", "steps=8", f"height={SIDE}", f"width={SIDE}", "workers=2")
PRETRAIN = (
    "recipe=tabletop",
    *("recipe.schedule.steps=40", f"recipe.schedule.save_every={OFTEN}"),
    *("recipe.windows=4", "recipe.clips=1", "recipe.model.targets=2", "device=cpu"),
    *(f"{ENCODER}.{key}={SIDE}" for key in ("height", "width")),
    *(f"{ENCODER}.{key}=16" for key in ("dim", "cell_dim")),
    *(f"{ENCODER}.heads=2", f"{ENCODER}.depth=1", f"{ENCODER}.points=2"),
    *(f"{ENCODER}.num_colors=3", f"{ENCODER}.num_slots=0"),
)
STAGES = ("projector", "planning")
PREDICTOR = ("window=3", "windows=4", "width=16", "depth=1")
TRAIN = (
    "recipe=tabletop",
    *(f"{stage}.schedule.steps=30" for stage in STAGES),
    *(f"{stage}.schedule.save_every={OFTEN}" for stage in STAGES),
    *("projector.window=3", "projector.pairs=2", "device=cpu"),
    "tabletop.object_dims=0",  # in few short episodes the hand lifts nothing
    *(f"tabletop.proprio_estimator.{option}" for option in ("batch=8", "hidden=8")),
    *(f"planning.predictor.{option}" for option in PREDICTOR),
    *(f"planning.distance.{option}" for option in ("batch=8", "hidden=16")),
    *(f"planning.policy_prior.{option}" for option in ("batch=8", "hidden=16")),
)
PLAN = ("planner.samples=4", "planner.elites=2", "planner.iterations=1", "horizon=2")
PLAN += ("device=cpu", "min_improvement=0", "proposals=1")
PRACTICE = ("rules.steps=6", "rules.group=2", "rules.shortest=2", "rules.longest=3")
PRACTICE += ("workers=2", "episodes=6")
EVALUATE = ("task=reach", "split=validation", "n=6", "group=2", "timing=0")


@dataclass(frozen=True)
class Run:
    """A command with its options.

    Attributes:
        name: The command.
        folder: Where it is run once without any kill.
        options: All but `out`.
    """

    name: str
    folder: Path
    options: tuple[str, ...]

    def words(self, folder: Path) -> list[str]:
        """Gives the words after `worldmodel` to run it in a folder."""
        return [self.name, *self.options, f"out={folder.resolve()}"]


def tiny_runs(whole: Path) -> list[Run]:
    """Gives the runs; each reads what those before it left in the folder `whole`."""
    data, model = whole / "collect", f"model={whole / 'train' / 'model'}"
    encoder = f"encoder={whole / 'pretrain' / 'encoder'}"
    options = {
        "collect": COLLECT,
        "pretrain": (f"data={data}", *PRETRAIN),
        "train": (f"data={data}", encoder, *TRAIN),
        "practice": (model, f"goals={data}", *PLAN, *PRACTICE),
        "evaluate": (model, *PLAN, *EVALUATE),
    }
    return [Run(name, whole / name, words) for name, words in options.items()]


def finished(run: Run, folder: Path) -> Counter[str]:
    """Gives how much is finished in a folder, by what it is; it must never become less.

    Episodes of a dataset, steps of each stage of a training, evaluated problems.
    """
    counts: Counter[str] = Counter()
    if run.name in ("collect", "practice"):
        info = folder / "meta" / "info.json"
        total = json.loads(info.read_text())["total_episodes"] if info.is_file() else 0
        done = {f"episode {index}" for index in range(total)}
        for file in folder.glob("staging/episode-*.parquet"):
            done.add(f"episode {int(file.stem.removeprefix('episode-'))}")
        counts.update(done)
    elif run.name in ("pretrain", "train"):
        for file in folder.glob("*.safetensors"):
            counts[file.stem] = _step(file)
    else:
        for file in folder.glob("rows/*/*.json"):
            episodes = json.loads(file.read_text())["episodes"]
            counts[file.parent.name] += len(episodes)
        for file in folder.glob("rows/*.json"):
            rows = json.loads(file.read_text())["rows"]
            counts[file.stem] = len(rows[0]["episodes"])
    return counts


def untouched(folder: Path) -> dict[str, int]:
    """Gives when each finished episode or group was written; nobody may do so again."""
    patterns = ("staging/episode-*.parquet", "rows/*/*.json", "rows/*.json")
    files = [file for pattern in patterns for file in folder.glob(pattern)]
    return {str(file.relative_to(folder)): file.stat().st_mtime_ns for file in files}


def contents(run: Run, folder: Path) -> dict[str, str]:
    """Gives a hash of every file that must be as without kills, by its name."""
    found = {}
    for file in folder.rglob("*"):
        name = str(file.relative_to(folder))
        if not file.is_file() or name.startswith((".cache", "tensorboard")):
            continue  # made by who reads a dataset; named after the time
        content = file.read_bytes()
        if name in ("config.yaml", "losses.png"):
            content = b""  # they must be there, and name the folder or the time
        elif name.endswith(".jsonl"):
            content = b"".join(_without_times(row) for row in content.splitlines())
        elif run.name == "evaluate" and name.endswith(".json"):
            content = _without_times(content)
        elif name.endswith("README.md"):
            content = b""  # the model card names the folder
        found[name] = hashlib.sha256(content).hexdigest()
    return found


def leftovers(folder: Path) -> list[str]:
    """Gives the names of files and folders that a kill left half-written."""
    patterns = (".*.staging", ".*.replaced", ".tmp*")
    return sorted(
        str(path.relative_to(folder))
        for pattern in patterns
        for path in folder.rglob(pattern)
    )


def _step(file: Path) -> int:
    """Gives the step of a training state, from the file's header alone."""
    with file.open("rb") as opened:
        size = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(size))
    return json.loads(header["__metadata__"]["state"])["step"]


def _without_times(content: bytes) -> bytes:
    values = json.loads(content)
    for key in ("created", "hardware", "time"):
        values.pop(key, None)
    return json.dumps(values, sort_keys=True).encode()
