"""One row of the table, from its pretraining to its evaluation."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from omegaconf import OmegaConf

from benchmarks.blinding import PARTS, blind
from benchmarks.encoders.figures import figures
from benchmarks.encoders.pretraining import Clock, Pretraining, pretrained
from benchmarks.encoders.rows import ROWS, SHIPPED
from benchmarks.runs import evaluate, worldmodel_command
from worldmodel.checkpoints.encoders import load_projector
from worldmodel.commands.control import BANK_FILE
from worldmodel.commands.run_folder import check_sources, open_run_folder
from worldmodel.commands.training import open_frames
from worldmodel.data import FrameCache, View
from worldmodel.evaluation.frame_bank import load_bank
from worldmodel.files.atomic import new_file
from worldmodel.model import WorldModel
from worldmodel.resources import find_weights

BLIND = "-blind"
FIGURES = "figures.json"
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Bench:
    """What all rows share.

    Attributes:
        data: folder of a dataset of play.
        out: folder of the results.
        pretraining: stage 1.
        steps: of stage 2, and of stages 3 to 5.
        tasks: to evaluate.
        n: problems of each.
        device: computes the pretraining; the rest is on the CPU.
    """

    data: Path
    out: Path
    pretraining: Pretraining
    steps: tuple[int, int] = (8000, 8000)
    tasks: Sequence[str] = ("reach", "push", "pick_place")
    n: int = 200
    device: torch.device = CPU

    @property
    def seed(self) -> int:
        """Of every stage."""
        return self.pretraining.seed

    def folder(self, name: str) -> Path:
        """Of a row."""
        return self.out / f"seed{self.seed}" / name

    def frames(self) -> FrameCache:
        """The decoded dataset."""
        spec = self.pretraining.encoder
        return open_frames(
            str(self.data), view=View(height=spec.height, width=spec.width)
        )


def run(name: str, bench: Bench) -> None:
    """Makes what is missing of a row; killed, it goes on where it stopped."""
    folder, frames = bench.folder(name), bench.frames()
    settings = {
        "row": name,
        "pretraining": asdict(bench.pretraining),
        "steps": list(bench.steps),
        "out": str(folder),
    }
    with open_run_folder("encoders", OmegaConf.create(settings)):
        check_sources(folder, {"data": frames.fingerprint})
        model = _model(name, bench, frames)
        if not (folder / FIGURES).exists():
            with Clock(folder / "clock.json").running("figures"):
                found = figures(WorldModel.from_pretrained(model), frames)
            with new_file(folder / FIGURES) as staging:
                staging.write_text(json.dumps(found, indent=1), encoding="utf-8")
        judge(name, model, bench)


def run_blind(name: str, bench: Bench) -> None:
    """Evaluates a row's model with its video tokens replaced by their mean."""
    model = bench.folder(name + BLIND) / "model"
    if not model.is_dir():
        seeing = model_folder(name, bench)
        made = WorldModel.from_pretrained(seeing)
        blind(made, PARTS[0], torch.from_numpy(load_bank(seeing / BANK_FILE)))
        made.save_pretrained(model, f"{name}, blind to {PARTS[0]}")
    judge(name + BLIND, model, bench)


def model_folder(name: str, bench: Bench) -> Path:
    """Where a row's model is, once it is trained."""
    if name == SHIPPED:
        return find_weights("reference")
    return bench.folder(name) / "train" / "model"


def judge(name: str, model: Path, bench: Bench) -> None:
    """Evaluates a row's tasks that are missing, on the problems of all rows."""
    folder = bench.folder(name)
    for task in bench.tasks:
        options = [f"model={model}", f"n={bench.n}", "group=25", "timing=0"]
        options += ["film=[]", "batch_invariant=false"]
        options.append(f"problems={bench.out / 'problems'}")
        with Clock(folder / "clock.json").running(f"evaluate {task}"):
            evaluate(options, folder / f"{task}_{bench.n}", threads=1, task=task)
        print(f"{name}: {task} done", file=sys.stderr, flush=True)


def _model(name: str, bench: Bench, frames: FrameCache) -> Path:
    """The folder of a row's model; stages 1 to 5 are done where they are missing."""
    row, folder, path = ROWS[name], bench.folder(name), model_folder(name, bench)
    if path.is_dir():
        return path
    encoder = _encoder(name, bench, frames)
    own = row.of is None and load_projector(encoder) is not None
    projector, planning = bench.steps
    with Clock(folder / "clock.json").running("stages 2 to 5"):
        worldmodel_command(
            [
                "train",
                f"data={bench.data}",
                f"encoder={encoder}",
                f"projector_from={'encoder' if own else 'none'}",
                f"projector.schedule.steps={projector}",
                f"planning.schedule.steps={planning}",
                f"seed={bench.seed}",
                "device=cpu",
                f"out={folder / 'train'}",
            ],
            threads=1,
        )
    return path


def _encoder(name: str, bench: Bench, frames: FrameCache) -> Path:
    row = ROWS[name]
    if row.of is not None:
        run(row.of, bench)
        return bench.folder(row.of) / "encoder"
    return pretrained(
        row.learner, bench.pretraining, frames, bench.folder(name), bench.device
    )
