from pathlib import Path

import pytest
import torch
from torch import nn

from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.errors import WorldModelError
from worldmodel.training.loop import Job, Schedule, fit


class Killed(Exception):
    """Stands for a kill."""


def job(seed: int = 0) -> Job:
    """A regression with dropout, which draws from the global generator."""
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.2), nn.Linear(8, 1))
    generator = torch.Generator().manual_seed(seed)

    def loss() -> dict[str, torch.Tensor]:
        x = torch.randn(16, 3, generator=generator)
        error = (module(x) - x.sum(-1, keepdim=True)).square().mean()
        return {"total": error, "double": 2 * error}

    return Job(module, loss, generator)


def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path: Path):
    schedule = Schedule(steps=12, warmup=3, save_every=0.0)
    path, whole = tmp_path / "state.safetensors", job()
    terms = fit(whole, schedule)

    def kill(step: int, _: dict[str, float]) -> None:
        if step == 7:
            raise Killed

    with pytest.raises(Killed):
        fit(job(), schedule, path, kill)
    torch.manual_seed(99)
    again, steps = job(), []
    assert fit(again, schedule, path, lambda step, _: steps.append(step)) == terms
    assert steps == list(range(7, 13))
    assert weights_hash(again.module) == weights_hash(whole.module)
    finished = job()
    assert fit(finished, schedule, path, lambda step, _: steps.append(step)) == terms
    assert len(steps) == 6
    assert weights_hash(finished.module) == weights_hash(whole.module)


def test_the_module_ends_trained_and_in_eval_mode():
    trained, seen = job(), []
    schedule = Schedule(steps=150, learning_rate=1e-2, warmup=5)
    fit(trained, schedule, on_step=lambda _, terms: seen.append(dict(terms)))
    assert not trained.module.training
    assert seen[-1]["total"] < 0.5 * seen[5]["total"]
    assert seen[-1]["double"] == pytest.approx(2 * seen[-1]["total"])
    assert len(seen) == 150


def test_what_follows_a_step_is_called_after_each():
    counted = job()
    calls: list[int] = []
    follow = Job(
        counted.module, counted.loss, counted.generator, lambda: calls.append(1)
    )
    fit(follow, Schedule(steps=4))
    assert len(calls) == 4


def test_a_loss_that_is_not_finite_stops_and_names_its_terms(tmp_path: Path):
    module = nn.Linear(1, 1)
    part = {"good": torch.tensor(1.0)}

    def loss() -> dict[str, torch.Tensor]:
        return {"total": module.weight.sum() * torch.nan, **part}

    broken = Job(module, loss, torch.Generator())
    before, path = weights_hash(module), tmp_path / "state.safetensors"
    with pytest.raises(WorldModelError, match=r"not finite: {'total': nan, 'good': 1"):
        fit(broken, Schedule(steps=3), path)
    assert weights_hash(module) == before
    assert not path.exists()


def test_the_learning_rate_rises_linearly_and_leaves_along_a_cosine():
    schedule = Schedule(steps=1000, warmup=100, final=0.1)
    assert schedule.factor(0) == pytest.approx(0.01)
    assert schedule.factor(49) == pytest.approx(0.5, abs=0.01)
    assert schedule.factor(500) == pytest.approx(0.55)
    assert schedule.factor(1000) == pytest.approx(0.1)
    rates = [schedule.factor(step) for step in range(100, 1001)]
    assert rates == sorted(rates, reverse=True)


def test_steps_that_are_added_leave_the_earlier_rates_as_they_were():
    first, more = Schedule(steps=10, warmup=2), Schedule(steps=30, warmup=2)
    longer = Schedule(steps=30, warmup=2, extended_from=(10,))
    rates = [longer.factor(step) for step in range(30)]
    assert rates[:10] == [first.factor(step) for step in range(10)]
    assert rates[10:] == [more.factor(step) for step in range(10, 30)]


@pytest.mark.parametrize("killed_at", [3, 6, 9])
def test_a_longer_run_does_not_depend_on_when_it_was_killed(tmp_path, killed_at):
    longer = Schedule(steps=14, warmup=3, save_every=0.0, extended_from=(6,))
    whole = job()
    fit(whole, longer)

    def kill(step: int, _: dict[str, float]) -> None:
        if step == killed_at + 1:
            raise Killed

    begun = Schedule(steps=6, warmup=3, save_every=0.0)
    path = tmp_path / "state.safetensors"
    if killed_at < 6:
        with pytest.raises(Killed):
            fit(job(), begun, path, kill)
    else:
        fit(job(), begun, path)
        if killed_at > 6:
            with pytest.raises(Killed):
                fit(job(), longer, path, kill)
    again = job()
    fit(again, longer, path)
    assert weights_hash(again.module) == weights_hash(whole.module)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"steps": 9, "extended_from": (9,)}, "from above 0 to below steps=9"),
        ({"steps": 9, "extended_from": (5, 4)}, r"got \(5, 4\)"),
        ({"steps": 1, "learning_rate": 0.0}, "learning_rate must be > 0, got 0.0"),
    ],
)
def test_a_schedule_that_cannot_be_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        Schedule(**change)
