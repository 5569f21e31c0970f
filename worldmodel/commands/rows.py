"""The rows of an evaluation: problems, floor and method, here or in other processes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from envs.variation import SceneOptions
from worldmodel.commands.arenas import JUDGING, open_place
from worldmodel.commands.bench import Bench, Job, Place, Share
from worldmodel.commands.control import Control, load_control
from worldmodel.commands.filming import FilmCutter, file_name, film_places
from worldmodel.commands.workers import launch
from worldmodel.evaluation.arena import Arena, TabletopArena
from worldmodel.evaluation.policy import Policy, RandomPolicy
from worldmodel.evaluation.problem_files import prepare_problems
from worldmodel.evaluation.results import Method
from worldmodel.evaluation.timing import Timing, time_policy

STANDARD = "standard"  # the protocol's name
FLOOR = Method("random actions", "floor", {})


def open_bench(
    config: DictConfig,
    control: Control,
    place: Place,
    arena: Arena,
    folder: Path,
    advance: Callable[[int], object] = lambda count: None,
) -> Bench:
    """Makes, or finds, the problems of one task.

    Args:
        config: Of `evaluate`.
        control: The model, and what plans with it.
        place: The machine.
        arena: Where problems run.
        folder: Run folder.
        advance: Called with the number of episodes that are done.
    """
    saved = _problem_folder(config, folder, arena.task)
    elsewhere = None
    if config.processes > 1 or config.launcher != "processes":
        elsewhere = functools.partial(_spread, config, place, arena.task, folder)
    return Bench(
        arena=arena,
        problems=prepare_problems(arena, config.split, config.n, saved),
        folder=folder / "rows",
        group=config.group,
        place=place,
        advance=advance,
        elsewhere=elsewhere,
    )


def floor_and_method(
    config: DictConfig, control: Control, bench: Bench, films: Path
) -> dict[str, Job]:
    """The rows that every evaluation has, by key."""
    size = control.model.action_spec.size
    cutter = FilmCutter(
        subject=bench.arena.subject(),
        folder=films,
        places=film_places(config.film, config.n),
        bank=control.bank,
    )
    method = Job(
        key="method",
        method=_method(config, control),
        policy=lambda: control.policy(bench.arena),
        timing=lambda: _timing(config, control, bench),
        watch=cutter,
        finish=cutter.finish,
        recall=cutter.recall,
        conclude=cutter.keep_written,
        can_spread=True,
    )
    floor = Job("floor", FLOOR, lambda: RandomPolicy(size), can_spread=True)
    return {job.key: job for job in (floor, method)}


def protocol_name(bench: Bench) -> str:
    """Names the conditions: standard, and what differs from our nominal scene."""
    if not isinstance(bench.arena, TabletopArena):
        return STANDARD
    nominal, now = vars(SceneOptions()), vars(bench.arena.env.scene)
    changes = [f"{key}={now[key]}" for key in now if now[key] != nominal[key]]
    return ", ".join([STANDARD, *changes])


def _spread(
    config: DictConfig, place: Place, task: str, folder: Path, shares: list[Share]
) -> Generator[Share, None, None]:
    """Runs groups in processes of their own, which keep them as files.

    Each has as many threads as this one: with another number, products of matrices
    may be summed in another order.
    """
    settings = OmegaConf.to_yaml(config, resolve=True)
    there = (settings, place, task, folder.resolve(), torch.get_num_threads())
    work = functools.partial(_run_share, there)
    return launch(config.launcher, work, shares, config.processes)


def _run_share(there: tuple[str, Place, str, Path, int], share: Share) -> Share:
    bench, jobs, policy = _opened(*there)
    job = jobs()[share.key]  # each group films a success and a failure of its own
    kept = bench.kept(protocol_name(bench), job)
    bench.run_group(job, kept, share.timing, share.start, policy(share.key))
    return share


@functools.cache
def _opened(
    settings: str, place: Place, task: str, folder: Path, threads: int
) -> tuple[Bench, Callable[[], dict[str, Job]], Callable[[str], Policy]]:
    """A bench, its rows and their policies, once in a process, so one GL context."""
    config = OmegaConf.create(settings)
    assert isinstance(config, DictConfig)
    torch.set_num_threads(threads)
    control = load_control(config)
    arena = open_place(config, control, task, JUDGING)
    bench = open_bench(config, control, place, arena, folder)
    jobs = functools.partial(floor_and_method, config, control, bench, folder / "films")
    return bench, jobs, functools.cache(lambda key: jobs()[key].policy())


def _problem_folder(config: DictConfig, folder: Path, task: str) -> Path:
    root = (
        Path(config.problems).expanduser() if config.problems else folder / "problems"
    )
    return root / f"{file_name(task)}_{config.split}"


def _timing(config: DictConfig, control: Control, bench: Bench) -> Timing | None:
    count = min(config.timing, len(bench.problems))
    if count == 0:
        return None
    arena, few = bench.arena, bench.problems.head(count)
    policy = control.policy(arena)
    return time_policy(policy, few, arena.envs, arena.budget, control.device)


def _method(config: DictConfig, control: Control) -> Method:
    name = config.name or f"{config.model}, {control.method}"
    method = Method(name, "method", control.settings, control.model_hash)
    return replace(method, training_seed=_training_seed(control.model.history))


def _training_seed(history: dict[str, Any]) -> int | None:
    """Gives the seed that `worldmodel train` noted, None where there is none."""
    seed = history.get("recipe", {}).get("seed")
    return seed if isinstance(seed, int) else None
