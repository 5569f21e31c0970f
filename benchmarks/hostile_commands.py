"""Commands with hostile options and files."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from benchmarks.hostile_cases import WORKS, Case
from worldmodel.commands.main import main

PLACES = ("data", "goals", "encoder", "model", "practice", "results", "goal", "out")
HUGE = ("1000000000000", str(10**30), "1e30")
# Values that no count can be; those that a certain option takes are left out there.
COUNTS = ("-1", "1.5", "null", "nan", "inf", "many", "true", "[1]", "{}", *HUGE)
TEXTS = ("null", "3", "[a]", "{a:1}", "")
WEIGHTS = ("-1", "nan", "inf", "-inf", "much", "null", "true", "[1,2]", "{}")
BASES = {
    "collect": ("out=play", "episodes=1", "steps=2", "workers=1"),
    "practice": ("goals={play}", "out=made", "episodes=1", "workers=1"),
    "pretrain": (
        *("data={play}", "out=run", "recipe=tabletop"),
        *("recipe.schedule.steps=1", "recipe.windows=4"),
    ),
    "train": ("data={play}", "encoder={encoder}", "out=run", "recipe=tabletop"),
    "evaluate": ("out=run", "task=push", "n=1"),
    "plan": ("out=run", "task=push"),
    "demo": ("out=run", "n=1", "tasks=[reach]"),
    "doctor": ("measure=false",),
    "report": ("results=none.json",),
    "convert": ("model={encoder}", "out=new"),
}
SWEEPS = {
    "collect": {
        "episodes": ("0", *COUNTS),
        "steps": ("0", *COUNTS),
        "seed": COUNTS,
        "workers": ("0", *COUNTS),
        "height": ("0", "8", "100000", *COUNTS),
        "mix": ("null", "{}", "3", "[1]", "{dance:1}", "{_target_:os.system}"),
        "mix.noise": WEIGHTS,
        "mix._target_": ("os.system",),
        "out": ("", "null"),
    },
    "practice": {
        "episodes": ("0", "-1", "1.5", "null", *HUGE),
        "workers": ("0", "-1", "1.5", "null", *HUGE),
        "goals": ("nowhere", "", "null"),
        "rules.group": ("0", "-1", "1.5", "x"),
        "rules.noise": ("nan", "[]", "[nan]", "x"),
    },
    "pretrain": {
        "data": ("nowhere", "", "null", "/dev/null"),
        "device": ("meta", "tpu", "null", "cuda:99", "cpu:99", ""),
        "cache": ("/dev/null",),
        "recipe": ("null", "{}", "3"),
        "recipe.windows": ("0", "-1", "1.5", "null", "x", *HUGE),
        "recipe.schedule.steps": ("0", "-1", "1.5", "null"),
        "recipe.schedule.learning_rate": ("nan", "inf", "-1", "0", "x", "null"),
        "recipe.momentum": ("nan", "2", "-1", "x"),
        "recipe.model.encoder.depth": ("0", "-1", "1.5", "x", "100000", *HUGE),
        "recipe.model.encoder.dim": ("0", "7", "x", *HUGE),
        "recipe.model.encoder._target_": ("os.system",),
    },
    "train": {
        "encoder": ("nowhere", "", "null"),
        "bank": ("-1", "1.5", "null"),
        "still": ("nan", "2", "-1", "x"),
        "practice": ("null", "[nowhere]", "3"),
        "practice_weight": ("0", "1.5", "nan"),
        "seed": COUNTS,
        "projector": ("null", "3"),
        "projector.window": ("0", "1", "1.5", "null", "x"),
        "projector.weights": ("null", "3"),
        "projector.weights.blobs": WEIGHTS,
        "planning": ("null", "{}", "3"),
        "planning.predictor": ("null", "3"),
        "tabletop.proprio_estimator": ("null", "3"),
        "planning.schedule.steps": ("0", "-1", "1.5", "null"),
        "planning.predictor.window": ("0", "1", "1.5", "null", "x"),
        "planning.distance.expectile": ("0", "1", "nan", "x", "null"),
        "planning.policy_prior.within": ("0", "-1", "1.5", "null", "x"),
        "tabletop": ("null", "3"),
        "tabletop.moves": ("0", "-1", "6", "1.5", "x"),
        "tabletop.goal_proprio": ("-1", "7", "1.5", "null", "x"),
        "tabletop.object_dims": ("-1", "1", "1.5", "null", "x"),
        "cost": ("null", "{}"),
        "cost.temporal": WEIGHTS,
    },
    "evaluate": {
        "n": ("0", *COUNTS),
        "group": ("0", *COUNTS),
        "split": ("null", "dev", "3"),
        "task": ("null", "fly", "3", "[push]"),
        "timing": ("-1", "1.5", "null", "nan"),
        "film": ("-1", "nan", "many", "[99]"),
        "ceilings": ("-1", "1.5", "1000"),
        "workers": ("0", "-1", "1.5", "null"),
    },
    "plan": {
        "task": TEXTS,
        "model": ("null", "nowhere", "", "3"),
        "goal": ("nowhere.png", "", "."),
        "seed": COUNTS,
        "device": ("meta", "tpu", "null", "cuda:99"),
        "precision": ("null", "float16", "3"),
        "horizon": ("0", "10000000", *COUNTS),
        "execute": ("0", "7", *COUNTS),
        "hold": ("0", "4", "-1", "1.5", "null"),
        "proposals": ("-1", "1.5", "null", "1000000", "nan"),
        "min_improvement": ("-1", "nan", "inf", "[1]", "x"),
        "penalties": ("null", "{}", "3"),
        "penalties.smoothness": WEIGHTS,
        "penalties.effort": WEIGHTS,
        "planner": ("null", "best", "{}"),
        "planner._target_": ("planners.Nope", "os.system"),
        "planner.samples": ("0", "1", "1000000000", *COUNTS),
        "planner.iterations": ("0", "1000000000", *COUNTS),
        "planner.elites": ("1", "65", "1.5", "null"),
        "planner.std": ("0", "-1", "nan", "inf", "[]", "[0.1]", "x", "null"),
        "planner.budget_ms": ("0", "-1", "nan", "inf", "x"),
        "planner.answer": ("null", "best", "3"),
        "cuda_graphs": ("maybe", "3"),
    },
    "demo": {
        "n": ("0", "17", "1.5", "null", "nan", *HUGE),
        "tasks": ("null", "[]", "3", "[null]", "[fly]", "{a:1}"),
    },
    "doctor": {"frames": ("0", *COUNTS), "measure": ("null", "3", "maybe")},
    "report": {"results": ("null", "[]", "3", "nowhere", "[[a]]", "{a:1}", ".")},
    "convert": {"model": ("null", "nowhere", ""), "out": ("null", "")},
}
WORDS = {
    "an unknown command": ["fly"],
    "no value": ["plan", "task"],
    "nothing before =": ["plan", "=3"],
    "a plus": ["plan", "+task=push"],
    "a sweep": ["plan", "task=push,reach"],
    "an unknown option": ["plan", "taks=push"],
    "a missing option": ["plan"],
    "a group that is none": ["plan", "task=push", "planner=../../x"],
    "an interpolation": ["plan", "task=${oc.env:NOT_THERE}"],
    "an endless interpolation": ["plan", "task=${task}"],
    "hydra's own": ["plan", "task=push", "hydra.run.dir=x"],
    "a broken quote": ["plan", "task='push"],
    "a deep list": ["demo", "tasks=" + "[" * 3000],
}


def commands(stock: Path) -> Iterator[Case]:
    """Gives the cases; `stock` holds a good dataset."""
    for name, words in WORDS.items():
        yield Case(f"commands/{name}", _command(words))
    for command in ("collect", "pretrain"):
        words = [word.format(play=stock / "play") for word in BASES[command]]
        yield Case(
            f"commands/control: {command}", _command([command, *words]), (), WORKS
        )
    places = {"play": stock / "play", "encoder": stock / "encoder"}
    for command, options in SWEEPS.items():
        for option, values in options.items():
            for value in dict.fromkeys(values):
                if _is_good(command, option, value):
                    continue
                base = [word.format(**places) for word in BASES[command]]
                kept = [word for word in base if not word.startswith(f"{option}=")]
                yield Case(
                    f"commands/{command} {option}={value}",
                    _command([command, *kept, f"{option}={value}"]),
                    (_named(option, value),),
                )
    yield from _files(stock)


def _named(option: str, value: str) -> str:
    """What a message must hold: the option, or what it names where nothing is there."""
    if option in PLACES and value not in ("null", "3", "[a]", "{a:1}"):
        return value.strip("[]")
    return option.rpartition(".")[2].strip("_")


def _is_good(command: str, option: str, value: str) -> bool:
    """Whether that is a value that the option takes."""
    if (option, value) == ("seed", "1000000000000") and command in ("collect", "train"):
        return True
    text = option in ("data", "goals", "encoder", "out", "model", "goal", "results")
    return text and value == "3" and command not in ("report", "plan")


def _command(words: list[str]) -> functools.partial[int]:
    return functools.partial(_run, words)


def _run(words: list[str], folder: Path) -> int:
    del folder  # it is the one that the process stands in
    return main(words)


def _files(stock: Path) -> Iterator[Case]:
    pictures = {
        "empty": b"",
        "no picture": b"GIF89a nothing",
        "cut off": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    }
    for name, content in pictures.items():
        yield Case(
            f"files/goal {name}",
            functools.partial(_with_file, "goal.png", content, _GOAL),
            ("goal.png",),
        )
    for mode, size in (("L", 96), ("RGBA", 96), ("I;16", 96), ("P", 96), ("RGB", 9)):
        run = functools.partial(_with_picture, mode, size)
        yield Case(f"files/goal {mode} of {size}", run, ("goal.png", "RGB"))
    results = {
        "null": b"null",
        "deep": b"[" * 100_000,
        "NaN": b'{"version": NaN}',
        "empty": b"",
        "no UTF-8": b"\xff\xfe",
        "a list": b"[]",
        "no rows": b'{"version": 1}',
        "rows null": b'{"version": 1, "rows": null}',
        "rows of null": b'{"version": 1, "rows": [null]}',
    }
    for name, content in results.items():
        run = functools.partial(_with_file, "r.json", content, _REPORT)
        yield Case(f"files/results {name}", run, ("r.json",))
    configs = {
        "broken": b"a: [",
        "a list": b"- 1",
        "a tab": b"\tx: 1",
        "no UTF-8": b"\xff\xfe\x00",
        "another run": b"command: plan\ntask: reach\n",
        "an interpolation": b"a: ${b}\n",
        "null": b"",
    }
    for name, content in configs.items():
        words = ["pretrain", f"data={stock / 'play'}", "out=run"]
        run = functools.partial(_with_file, "run/config.yaml", content, words)
        yield Case(f"files/config {name}", run, ("out=",))
    for name, content in {"null": "null", "deep": "[" * 100_000, "list": "[]"}.items():
        run = functools.partial(_with_problems, content)
        yield Case(f"files/problems {name}", run, ("problems.json",))
    shown = ["plan", "--help"]
    yield Case("files/control: help", _command(shown), right=WORKS)


_GOAL = ["plan", "task=push", "out=run", "goal=goal.png"]
_REPORT = ["report", "results=r.json"]


def _with_file(name: str, content: bytes, words: list[str], folder: Path) -> int:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return main(words)


def _with_picture(mode: str, size: int, folder: Path) -> int:
    Image.new(mode, (size, size)).save(folder / "goal.png")
    return main(_GOAL)


def _with_problems(content: str, folder: Path) -> int:
    place = folder / "problems" / "push_test"
    for path in (folder / "problems", place):
        path.mkdir()
        (path / "problems.json").write_text(content)
        (path / "problems.npz").write_bytes(json.dumps(content).encode())
    return main(
        ["evaluate", "task=push", "n=1", "split=test", "out=run", "problems=problems"]
    )
