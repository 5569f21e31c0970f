import functools
import json
from pathlib import Path

import pytest
import torch

from benchmarks.encoders import pretraining, report, running
from benchmarks.encoders.pretraining import Clock, Pretraining, pretrained
from benchmarks.encoders.rows import ROWS
from benchmarks.objectives import lejepa
from benchmarks.objectives.learner import Learner, Play
from tests.training.toy import ENCODER, Killed, toy_frames
from worldmodel.checkpoints.encoders import load_encoder
from worldmodel.commands.training_log import read_log
from worldmodel.training.loop import Schedule
from worldmodel.training.updates import Job

CPU = torch.device("cpu")
FRAMES = toy_frames()
PART = Pretraining(ENCODER, minutes=1.0, moments=16)
PLAN = {"steps": 6, "moments": 16, "seconds": 10.0, "flops": 1.0}


def killed_at(call: int, play: Play) -> Learner:
    """LeJEPA whose process dies before one of its losses."""
    learner, calls = lejepa.learner(play), iter(range(1000))

    def loss():
        if next(calls) == call:
            raise Killed
        return learner.job.loss()

    return Learner(Job(learner.job.module, loss), learner.encoder, None, 16)


def planned_folder(path: Path) -> Path:
    path.mkdir()
    (path / "plan.json").write_text(json.dumps(PLAN))
    return path


def test_a_killed_pretraining_goes_on_to_the_same_encoder(tmp_path, monkeypatch):
    often = functools.partial(Schedule, save_every=0.0)
    monkeypatch.setattr(pretraining, "Schedule", often)
    whole = pretrained(
        lejepa.learner, PART, FRAMES, planned_folder(tmp_path / "whole"), CPU
    )
    folder = planned_folder(tmp_path / "killed")
    with pytest.raises(Killed):
        pretrained(functools.partial(killed_at, 4), PART, FRAMES, folder, CPU)
    left = pretrained(functools.partial(killed_at, 2), PART, FRAMES, folder, CPU)
    hashes = {load_encoder(path)[0].weights_hash for path in (whole, left)}
    assert len(hashes) == 1
    log = read_log(folder / "pretrain.jsonl")
    assert [row["step"] for row in log] == [1, 2, 3, 4, 5, 6]
    assert all(row["token_effective_rank"] > 1 for row in log)


def test_what_is_there_is_left_alone(tmp_path):
    path = pretrained(None, PART, FRAMES, tmp_path, CPU)
    before = load_encoder(path)[0].weights_hash
    again = pretrained(functools.partial(killed_at, 0), PART, FRAMES, tmp_path, CPU)
    assert load_encoder(again)[0].weights_hash == before


def test_steps_are_as_many_as_the_time_allows_and_the_plan_is_kept(tmp_path):
    make, file = ROWS["action"].learner, tmp_path / "plan.json"
    assert make is not None
    plan = pretraining.planned(make, PART, FRAMES, file, CPU)
    assert plan.steps == round(60 / plan.seconds)
    assert plan.flops > 2 * 3 * plan.moments * 4 * 12 * 4 * 12  # three times an MLP
    assert pretraining.planned(make, PART, FRAMES, file, CPU) == plan


def test_a_clock_goes_on_after_a_kill(tmp_path):
    for _ in range(2):
        clock = Clock(tmp_path / "clock.json")
        with pytest.raises(Killed), clock.running("train"):
            begun = pretraining._now()
            while pretraining._now()[1] < begun[1] + 0.1:
                pass
            raise Killed
    assert 0.2 <= json.loads((tmp_path / "clock.json").read_text())["train"][1] < 0.4


def test_a_killed_row_repeats_nothing(tmp_path, monkeypatch):
    done: list[str] = []
    bench = running.Bench(Path("data"), tmp_path, PART, tasks=("reach", "push"))

    def train(words, threads):
        done.append(words[0])
        (tmp_path / "seed0/random/train/model").mkdir(parents=True)

    def judged(options, out, threads, task):
        if (out / "results.json").exists():
            return
        done.append(task)
        if done.count("push") == 1 and task == "push":
            raise Killed
        out.mkdir(parents=True)
        (out / "results.json").write_text("{}")

    def figures(model, frames):
        done.append("figures")
        return {}

    monkeypatch.setattr(running.Bench, "frames", lambda self: FRAMES)
    monkeypatch.setattr(running, "worldmodel_command", train)
    monkeypatch.setattr(running, "evaluate", judged)
    monkeypatch.setattr(running, "figures", figures)
    monkeypatch.setattr(running.WorldModel, "from_pretrained", lambda path: None)
    with pytest.raises(Killed):
        running.run("random", bench)
    running.run("random", bench)
    assert done == ["train", "figures", "reach", "push", "push"]


def record(**solved: str) -> report.Record:
    tasks = {t: {"success": s, "problems": f"hash of {t}"} for t, s in solved.items()}
    return {"tasks": tasks}


def test_rows_meet_the_best_one_and_random_ones_on_all_problems():
    results = {
        "random": {"seed0": record(reach="0000", push="0000")},
        "mae": {"seed0": record(reach="1100", push="0000")},
        "vjepa": {"seed0": record(reach="1111", push="1000")},
        "shipped": {"seed0": record(reach="1111", push="1111")},
        "vjepa-blind": {"seed0": record(reach="1111", push="1111")},
    }
    assert report.winner(results) == "vjepa"
    lines = report.success_table(results)
    (mae,) = (line for line in lines if line.startswith("| mae"))
    assert "| 2/4 [15, 85] | 0/4 [0, 49] | – |" in mae
    assert mae.endswith("| +0 −3, p=0.25 | +2 −0, p=0.5 | – |")


def test_problems_of_two_protocols_are_not_paired():
    one, other = record(reach="11"), record(reach="00")
    other["tasks"]["reach"]["problems"] = "others"
    assert report._paired(one, other) == "–"
