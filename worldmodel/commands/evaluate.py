"""Evaluates a world model in closed loop, with a floor and, on demand, two ceilings.

Problems run in lockstep, groups of them in several processes where asked. The run
folder ends with results.json, table.md and films; killed, it goes on behind the
finished groups of problems when the same command is given the same `out`.
"""

from __future__ import annotations

from contextlib import ExitStack, closing, nullcontext
from pathlib import Path

from omegaconf import DictConfig

from envs.graphics import NoGraphicsError
from envs.tasks import TASKS
from envs.variation import SceneOptions
from worldmodel.commands.arenas import JUDGING, chosen_places, open_place
from worldmodel.commands.bench import Bench, Place
from worldmodel.commands.ceilings import (
    ceiling_jobs,
    check_ceiling_model,
    check_ceilings,
)
from worldmodel.commands.control import Control, load_control
from worldmodel.commands.filming import film_places
from worldmodel.commands.instantiate import instantiate
from worldmodel.commands.limits import MOST_WORKERS, require_whole
from worldmodel.commands.progress import bar
from worldmodel.commands.rows import floor_and_method, open_bench, protocol_name
from worldmodel.commands.run_folder import open_run_folder
from worldmodel.commands.run_readme import write_run_readme
from worldmodel.commands.workers import require_launcher
from worldmodel.errors import OptionError
from worldmodel.evaluation.adapters.adapted_arena import rejected
from worldmodel.evaluation.arena import Arena, TabletopArena
from worldmodel.evaluation.environment import gl_backend
from worldmodel.evaluation.problems import ProblemSet
from worldmodel.evaluation.protocol import SPLIT_SEEDS
from worldmodel.evaluation.results import Row, save_results
from worldmodel.evaluation.tables import report
from worldmodel.files.atomic import new_file
from worldmodel.hardware import hardware

EXAMPLE = "worldmodel evaluate task=push split=validation n=50 planner.samples=256"
MOST_PROBLEMS = 1_000_000
CEILING = "ceiling"  # the protocol's name
CEILING_ROWS = 2


def run(config: DictConfig) -> int:
    """Evaluates and writes results, table and films."""
    _check(config)
    tasks = chosen_places(config)
    control = load_control(config)
    check_ceiling_model(config, control)
    place = Place(hardware(control.device), _graphics(config))
    with ExitStack() as opened:
        given = None
        if tasks[0] not in TASKS:  # an env of others is checked before anything runs
            given = open_place(config, control, tasks[0], JUDGING)
            opened.enter_context(closing(given))
        run_folder = opened.enter_context(open_run_folder("evaluate", config))
        folder = run_folder.path
        rows = _rows(config, control, place, tasks, folder, given)
        results = place.results(rows)
        table = report([results])
        save_results(results, folder / "results.json")
        with new_file(folder / "table.md") as staging:
            staging.write_text(table, encoding="utf-8")
        write_run_readme(folder, "evaluate")
    print(table)
    print(f"results.json, table.md and films/ are in {folder}")
    return 0


def _rows(
    config: DictConfig,
    control: Control,
    place: Place,
    tasks: list[str],
    folder: Path,
    given: Arena | None,
) -> list[Row]:
    rows: list[Row] = []
    each = 2 * config.n + CEILING_ROWS * config.ceilings
    with bar(each * len(tasks), "evaluate", "episode") as progress:
        for task in tasks:
            progress.set_postfix_str(task)
            arena = given or open_place(config, control, task)
            with nullcontext() if given else closing(arena):
                bench = open_bench(
                    config, control, place, arena, folder, progress.update
                )
                if given is not None:
                    _tell_rejected(bench.problems)
                rows += _task_rows(config, control, bench, folder / "films")
    return rows


def _graphics(config: DictConfig) -> str:
    """What renders; an env of others may do without."""
    try:
        return gl_backend()
    except NoGraphicsError:
        if config.env is None:
            raise
        return "none"


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
    require_whole(config, "processes", 1, MOST_WORKERS)
    require_launcher(config.launcher)
    film_places(config.film, config.n)
    check_ceilings(config)
    if config.env is not None and config.ceilings:
        raise OptionError("ceilings read our simulator: they are for task=, not env=")
    is_other = instantiate(config.scene) != SceneOptions()
    if is_other and (config.env is not None or config.ceilings):
        raise OptionError(
            "scene. changes our own scene, which env= does not have and ceilings= "
            "simulates as it is: leave one of them out"
        )


def _task_rows(
    config: DictConfig, control: Control, bench: Bench, films: Path
) -> list[Row]:
    jobs = floor_and_method(config, control, bench, films)
    floor, method = rows = bench.rows(protocol_name(bench), [*jobs.values()])
    if config.ceilings:
        head = bench.head(config.ceilings)
        rows += [head.part(CEILING, floor), head.part(CEILING, method)]
        assert isinstance(bench.arena, TabletopArena)
        ceilings = ceiling_jobs(config, control, bench.arena.env)
        rows += [head.row(CEILING, job) for job in ceilings]
    return rows
