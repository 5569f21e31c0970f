"""Shows the shipped model: a few problems of each task in closed loop, filmed.

Every outcome is told as it is, also where the robot fails.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from omegaconf import DictConfig

from worldmodel.commands.control import Control, chosen_tasks, load_control
from worldmodel.commands.filming import film_name, write_film
from worldmodel.commands.progress import bar
from worldmodel.commands.run_folder import open_run_folder
from worldmodel.commands.run_readme import write_run_readme
from worldmodel.errors import OptionError
from worldmodel.evaluation.episode import Episode
from worldmodel.evaluation.film import Film
from worldmodel.evaluation.problems import collect_problems
from worldmodel.evaluation.runner import Moment
from worldmodel.evaluation.runner import run as run_problems

EXAMPLE = "worldmodel demo tasks=[push] n=4"
SPLIT = "validation"
MOST_PROBLEMS = 16  # in lockstep, and their films in memory


def run(config: DictConfig) -> int:
    """Runs and films the problems of each task."""
    if not isinstance(config.n, int) or not 1 <= config.n <= MOST_PROBLEMS:
        raise OptionError(f"n must be in [1, {MOST_PROBLEMS}], got {config.n}")
    tasks = [name for task in config.tasks for name in chosen_tasks(str(task))]
    if not tasks:
        raise OptionError("tasks must name at least 1 task, got []")
    control = load_control(config)
    solved = 0
    with open_run_folder("demo", config) as run_folder:
        folder = run_folder.path
        for task in dict.fromkeys(tasks):
            episodes = _show(control, task, config.n, folder)
            solved += sum(episode.success for episode in episodes)
    total = config.n * len(dict.fromkeys(tasks))
    write_run_readme(folder, "demo", f"{solved} of {total} solved.")
    print(f"{solved} of {total} solved; the films (mp4 and GIF) are in {folder}")
    return 0


def _show(control: Control, task: str, n: int, folder: Path) -> list[Episode]:
    """Runs the problems of one task side by side; prints and films each."""
    with closing(control.arena(task)) as arena:
        film = Film(range(n), arena.subject(), control.bank)
        made = arena.problems(SPLIT, n)
        problems = collect_problems(made, SPLIT, arena.fingerprint)
        with bar(arena.budget, task, "step") as progress:

            def watch(moment: Moment) -> None:
                film(moment)
                progress.update(moment.step - progress.n)

            protocol = problems.protocol("demo", arena.budget)
            policy, env = control.policy(arena), arena.envs
            running = run_problems(problems, protocol, policy, env, n, watch)
            episodes = list(running)
    for episode in episodes:
        path = folder / f"{film_name(task, episode)}.mp4"
        write_film(film.frames(episode.index), path, film.subject.rate_hz)
        print(_outcome(episode, path))
    return episodes


def _outcome(episode: Episode, path: Path) -> str:
    verdict = "solved" if episode.success else "failed"
    if episode.ever and not episode.success:
        verdict = f"failed (was there at step {episode.steps_to_success})"
    return (
        f"{episode.task} {episode.index}: {verdict}, "
        f"{100 * episode.start_distance:.1f} cm from the goal at first, "
        f"{100 * episode.final_distance:.1f} cm at last  {path}"
    )
