"""Evaluates a world model in closed loop, with a floor and, on demand, two ceilings.

Problems run in lockstep. The run folder ends with results.json, table.md and films;
killed, it goes on behind the last finished group of problems when the same command is
given the same `out`.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from worldmodel.commands.arenas import JUDGING, chosen_places, open_place
from worldmodel.commands.bench import Bench, Job, Place
from worldmodel.commands.ceilings import ceiling_jobs, check_ceilings
from worldmodel.commands.control import Control, load_control
from worldmodel.commands.filming import FilmCutter, file_name, film_places
from worldmodel.commands.limits import require_whole
from worldmodel.commands.progress import bar
from worldmodel.commands.run_folder import open_run_folder
from worldmodel.commands.run_readme import write_run_readme
from worldmodel.errors import OptionError
from worldmodel.evaluation.adapters.adapted_arena import rejected
from worldmodel.evaluation.arena import TabletopArena
from worldmodel.evaluation.environment import gl_backend
from worldmodel.evaluation.policy import RandomPolicy
from worldmodel.evaluation.problem_files import prepare_problems
from worldmodel.evaluation.problems import ProblemSet
from worldmodel.evaluation.protocol import SPLIT_SEEDS
from worldmodel.evaluation.results import Method, Row, save_results
from worldmodel.evaluation.tables import report
from worldmodel.evaluation.timing import Timing, time_policy
from worldmodel.files.atomic import new_file
from worldmodel.hardware import hardware

EXAMPLE = "worldmodel evaluate task=push split=validation n=50 planner.samples=256"
MOST_PROBLEMS = 1_000_000
STANDARD = "standard"  # names of the protocols
CEILING = "ceiling"
FLOOR = Method("random actions", "floor", {})
CEILING_ROWS = 2


def run(config: DictConfig) -> int:
    """Evaluates and writes results, table and films."""
    _check(config)
    tasks = chosen_places(config)
    control = load_control(config)
    place = Place(hardware(control.device), gl_backend())
    with open_run_folder("evaluate", config) as run_folder:
        folder = run_folder.path
        results = place.results(_rows(config, control, place, tasks, folder))
        table = report([results])
        save_results(results, folder / "results.json")
        with new_file(folder / "table.md") as staging:
            staging.write_text(table, encoding="utf-8")
        write_run_readme(folder, "evaluate")
    print(table)
    print(f"results.json, table.md and films/ are in {folder}")
    return 0


def _rows(
    config: DictConfig, control: Control, place: Place, tasks: list[str], folder: Path
) -> list[Row]:
    rows: list[Row] = []
    each = 2 * config.n + CEILING_ROWS * config.ceilings
    with bar(each * len(tasks), "evaluate", "episode") as progress:
        for task in tasks:
            progress.set_postfix_str(task)
            with closing(open_place(config, control, task, JUDGING)) as arena:
                problems = prepare_problems(
                    arena, config.split, config.n, _problem_folder(config, folder, task)
                )
                if not isinstance(arena, TabletopArena):
                    _tell_rejected(problems)
                bench = Bench(
                    arena=arena,
                    problems=problems,
                    folder=folder / "rows",
                    group=config.group,
                    place=place,
                    advance=progress.update,
                )
                rows += _task_rows(config, control, bench, folder / "films")
    return rows


def _tell_rejected(problems: ProblemSet) -> None:
    count = rejected(problems.seeds, problems.split)
    print(f"{len(problems)} problems; {count} starts that are solved already left out")


def _check(config: DictConfig) -> None:
    """Refuses bad options before anything has run."""
    if config.split not in SPLIT_SEEDS:
        raise OptionError(
            f"split must be one of {', '.join(SPLIT_SEEDS)}, got {config.split}"
        )
    for name, least in (("n", 1), ("group", 1), ("timing", 0), ("ceilings", 0)):
        require_whole(config, name, least, MOST_PROBLEMS)
    film_places(config.film, config.n)
    check_ceilings(config)
    if config.env is not None and config.ceilings:
        raise OptionError("ceilings read our simulator: they are for task=, not env=")


def _problem_folder(config: DictConfig, folder: Path, task: str) -> Path:
    root = (
        Path(config.problems).expanduser() if config.problems else folder / "problems"
    )
    return root / f"{file_name(task)}_{config.split}"


def _task_rows(
    config: DictConfig, control: Control, bench: Bench, films: Path
) -> list[Row]:
    action_size = control.model.action_spec.size
    floor = bench.row(STANDARD, Job("floor", FLOOR, lambda: RandomPolicy(action_size)))
    method = bench.row(STANDARD, _method_job(config, control, bench, films))
    rows = [floor, method]
    if config.ceilings:
        head = bench.head(config.ceilings)
        rows += [head.part(CEILING, floor), head.part(CEILING, method)]
        assert isinstance(bench.arena, TabletopArena)
        jobs = ceiling_jobs(config, control, bench.arena.env)
        rows += [head.row(CEILING, job) for job in jobs]
    return rows


def _method_job(config: DictConfig, control: Control, bench: Bench, films: Path) -> Job:
    cutter = FilmCutter(
        subject=bench.arena.subject(),
        folder=films,
        places=film_places(config.film, config.n),
        bank=control.bank,
    )
    return Job(
        key="method",
        method=_method(config, control),
        policy=lambda: control.policy(bench.arena),
        timing=lambda: _timing(config, control, bench),
        watch=cutter,
        finish=cutter.finish,
        recall=cutter.recall,
    )


def _timing(config: DictConfig, control: Control, bench: Bench) -> Timing | None:
    count = min(config.timing, len(bench.problems))
    if count == 0:
        return None
    arena, few = bench.arena, bench.problems.head(count)
    policy = control.policy(arena)
    return time_policy(policy, few, arena.envs, arena.budget, control.device)


def _method(config: DictConfig, control: Control) -> Method:
    name = config.name or f"{config.model}, {type(control.mpc.planner).__name__}"
    method = Method(name, "method", control.settings, control.model_hash)
    return replace(method, training_seed=_training_seed(control.model.history))


def _training_seed(history: dict[str, Any]) -> int | None:
    """Gives the seed that `worldmodel train` noted, None where there is none."""
    seed = history.get("recipe", {}).get("seed")
    return seed if isinstance(seed, int) else None
