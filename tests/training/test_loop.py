import time
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.training.toy import Killed, kill_at, seeded
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.errors import WorldModelError
from worldmodel.training.loop import OnStep, Schedule, Training, fit
from worldmodel.training.updates import Job

ALONE, SIDE_BY_SIDE = ("one",), ("one", "other")


def regression(
    generator: torch.Generator, dropout: float = 0.2, scale: float = 1.0
) -> Job:
    """A regression with dropout, which draws from the global generator."""
    module = nn.Sequential(nn.Linear(3, 8), nn.Dropout(dropout), nn.Linear(8, 1))

    def loss() -> dict[str, Tensor]:
        x = torch.randn(16, 3, generator=generator)
        error = (module(x) - x.sum(-1, keepdim=True)).square().mean()
        return {"total": scale * error, "double": 2 * error}

    return Job(module, loss)


def trained(
    schedule: Schedule,
    path: Path | None = None,
    on_step: OnStep | None = None,
    names: tuple[str, ...] = ALONE,
) -> tuple[dict[str, str], dict[str, float]]:
    """Weights of regressions that were optimised together, and the last terms."""
    training = seeded(schedule, path, on_step)
    jobs = {name: regression(training.generator) for name in names}
    terms = fit(jobs, training)
    return {name: weights_hash(job.module) for name, job in jobs.items()}, terms


@pytest.mark.parametrize("names", [ALONE, SIDE_BY_SIDE])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path: Path, names):
    schedule = Schedule(steps=12, warmup=3, save_every=0.0)
    path, steps = tmp_path / "state.safetensors", []
    whole = trained(schedule, names=names)
    with pytest.raises(Killed):
        trained(schedule, path, kill_at(7), names)

    def note(step: int, _: dict[str, float]) -> None:
        steps.append(step)

    assert trained(schedule, path, note, names) == whole
    assert steps == list(range(7, 13))
    assert trained(schedule, path, note, names) == whole  # it was finished
    assert len(steps) == 6


def test_the_module_ends_trained_and_in_eval_mode():
    seen: list[dict[str, float]] = []
    schedule = Schedule(steps=150, learning_rate=1e-2, warmup=5)
    training = seeded(schedule, on_step=lambda _, terms: seen.append(dict(terms)))
    job = regression(training.generator)
    fit({"one": job}, training)
    assert not job.module.training
    assert seen[-1]["total"] < 0.5 * seen[5]["total"]
    assert seen[-1]["double"] == pytest.approx(2 * seen[-1]["total"])
    assert len(seen) == 150


def test_modules_side_by_side_all_learn_and_their_terms_carry_their_names():
    seen: list[dict[str, float]] = []
    schedule = Schedule(steps=150, learning_rate=1e-2, warmup=5)
    _, terms = trained(
        schedule, None, lambda _, terms: seen.append(dict(terms)), SIDE_BY_SIDE
    )
    assert set(terms) == {"total", "one", "one.double", "other", "other.double"}
    assert terms["total"] == pytest.approx(terms["one"] + terms["other"], rel=1e-4)
    for name in SIDE_BY_SIDE:
        assert seen[-1][name] < 0.5 * seen[5][name]
        assert seen[-1][f"{name}.double"] == pytest.approx(2 * seen[-1][name])


def test_a_module_learns_beside_one_with_huge_gradients_as_it_does_alone():
    def learned(*beside: float) -> list[str]:
        training = seeded(Schedule(steps=5, warmup=1))
        jobs = {}
        for number, scale in enumerate((1.0, *beside)):
            own = torch.Generator().manual_seed(number)
            jobs[str(number)] = regression(own, dropout=0.0, scale=scale)
        before = [weights_hash(job.module) for job in jobs.values()]
        fit(jobs, training)
        after = [weights_hash(job.module) for job in jobs.values()]
        assert not set(before) & set(after)
        return after

    assert learned(1e12)[0] == learned()[0]


def test_what_follows_a_step_is_called_after_each():
    training = seeded(Schedule(steps=4))
    calls: list[str] = []
    jobs = {}
    for name in SIDE_BY_SIDE:
        job = regression(training.generator)

        def follow(name: str = name) -> None:
            calls.append(name)

        jobs[name] = Job(job.module, job.loss, follow)
    fit(jobs, training)
    assert calls == 4 * list(SIDE_BY_SIDE)


def test_a_loss_that_is_not_finite_stops_and_names_its_terms(tmp_path: Path):
    module = nn.Linear(1, 1)
    part = {"good": torch.tensor(1.0)}

    def loss() -> dict[str, Tensor]:
        return {"total": module.weight.sum() * torch.nan, **part}

    before, path = weights_hash(module), tmp_path / "state.safetensors"
    training = Training(Schedule(steps=3), torch.Generator(), path)
    with pytest.raises(WorldModelError, match=r"not finite: {'total': nan, 'good': 1"):
        fit({"broken": Job(module, loss)}, training)
    assert weights_hash(module) == before
    assert not path.exists()
    good = regression(training.generator)
    with pytest.raises(WorldModelError, match="'broken': nan, 'broken.good': 1"):
        fit({"good": good, "broken": Job(module, loss)}, training)
    assert weights_hash(module) == before


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
    begun = Schedule(steps=6, warmup=3, save_every=0.0)
    whole, path = trained(longer), tmp_path / "state.safetensors"
    kill = kill_at(killed_at + 1)
    if killed_at < 6:
        with pytest.raises(Killed):
            trained(begun, path, kill)
    else:
        trained(begun, path)
        if killed_at > 6:
            with pytest.raises(Killed):
                trained(longer, path, kill)
    assert trained(longer, path)[0] == whole[0]


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


def test_training_stops_at_its_time_limit_with_what_there_is(tmp_path):
    module, state = nn.Linear(1, 1), tmp_path / "state.safetensors"
    generator = torch.Generator().manual_seed(0)

    def loss() -> dict[str, torch.Tensor]:
        time.sleep(0.01)
        return {"total": module(torch.ones(1, 1)).square().mean()}

    steps: list[int] = []
    fit(
        {"one": Job(module, loss)},
        Training(
            Schedule(10_000, seconds=0.2),
            generator,
            state,
            lambda step, _: steps.append(step),
        ),
    )
    assert 1 <= steps[-1] < 100
    assert state.is_file()


def test_the_learning_rate_falls_by_the_clock_where_that_is_ahead():
    schedule = Schedule(1000, warmup=1, final=0.1, seconds=10.0)
    assert schedule.factor(500, 0.0) == pytest.approx(0.55)
    assert schedule.factor(0, 5.0) == pytest.approx(0.55)
    assert schedule.factor(500, 9.999) == pytest.approx(0.1, abs=1e-3)
    with pytest.raises(ValueError, match="seconds must be above 0, got 0"):
        Schedule(10, seconds=0)
