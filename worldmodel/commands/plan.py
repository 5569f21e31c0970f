"""Plans toward one goal picture in closed loop, and films it.

Without `goal=` the seed's own goal is taken and saved as goal.png, to be used again.
The run folder ends with plan.mp4, final.png and plan.json (actions and costs).
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from envs.tasks import find_task
from worldmodel.commands.arenas import chosen_places, open_place
from worldmodel.commands.control import Control, load_control
from worldmodel.commands.filming import write_film
from worldmodel.commands.pictures import read_picture, write_picture
from worldmodel.commands.progress import bar
from worldmodel.commands.run_folder import open_run_folder
from worldmodel.commands.run_readme import write_run_readme
from worldmodel.data.pictures import resized
from worldmodel.errors import OptionError
from worldmodel.evaluation.arena import Arena
from worldmodel.evaluation.episode import Episode
from worldmodel.evaluation.film import Film
from worldmodel.evaluation.film_subject import Subject
from worldmodel.evaluation.problems import Problem, collect_problems
from worldmodel.evaluation.protocol import SPLIT_SEEDS
from worldmodel.evaluation.runner import Moment
from worldmodel.evaluation.runner import run as run_problems
from worldmodel.files.atomic import new_file

EXAMPLE = "worldmodel plan task=push goal=picture.png"


@dataclass
class _Diary:
    """A watcher that films, and notes every action and the last frame."""

    film: Film
    advance: Any
    actions: list[list[float]] = field(default_factory=list)
    last_frame: np.ndarray | None = None

    def __call__(self, moment: Moment) -> None:
        self.film(moment)
        self.last_frame = moment.pixels[0]
        if moment.decision is not None:
            row = moment.decision.actions[0]
            self.actions.append([round(float(value), 6) for value in row])
            self.advance(1)


def run(config: DictConfig) -> int:
    """Plans and writes film, last frame and plan."""
    _place(config)
    split = _split(config.seed)
    control = load_control(config)
    height, width = control.model.height, control.model.width
    given = None
    if config.goal is not None:
        path = Path(str(config.goal)).expanduser()
        if config.env is None:
            given = read_picture(path, height, width)
        else:
            given = resized(read_picture(path), height, width)
    with (
        closing(_arena(config, control)) as arena,
        open_run_folder("plan", config) as run_folder,
    ):
        folder = run_folder.path
        problem = arena.problem(config.seed)
        if given is not None:
            problem = replace(problem, goal_image=given)
        film = Film([0], arena.subject(given is None), control.bank)
        episode, diary = _control(control, arena, problem, split, film)
        _write(config, control, problem, episode, diary, folder)
    return 0


def _write(
    config: DictConfig,
    control: Control,
    problem: Problem,
    episode: Episode,
    diary: _Diary,
    folder: Path,
) -> None:
    """Writes what came of it into the run folder."""
    assert diary.last_frame is not None
    subject = diary.film.subject
    write_picture(problem.goal_image, folder / "goal.png")
    write_picture(diary.last_frame, folder / "final.png")
    write_film(diary.film.frames(0), folder / "plan.mp4", subject.rate_hz)
    plan = _plan(config, control, episode, diary, subject)
    with new_file(folder / "plan.json") as staging:
        staging.write_text(json.dumps(plan, indent=1, allow_nan=False) + "\n")
    summary = _summary(plan, subject)
    write_run_readme(folder, "plan", summary)
    print(summary)
    print(f"plan.mp4, goal.png, final.png and plan.json are in {folder}")


def _arena(config: DictConfig, control: Control) -> Arena:
    (name,) = _place(config)
    arena = open_place(config, control, name)
    if config.goal is None and not arena.has_goals:
        arena.close()
        raise OptionError(
            f"env={config.env} has no goals of its own here: give goal=picture.png, or "
            "an adapter with `problem`"
        )
    return arena


def _place(config: DictConfig) -> list[str]:
    """Gives the task or env, alone in a list."""
    if config.env is not None:
        return chosen_places(config)
    if config.task is None:
        raise OptionError("worldmodel plan also needs: task=… or env=…")
    return [find_task(str(config.task)).name]


def _split(seed: object) -> str:
    """Gives the split that a seed belongs to."""
    last = max(seeds.stop for seeds in SPLIT_SEEDS.values())
    if isinstance(seed, int):
        for name, seeds in SPLIT_SEEDS.items():
            if seed in seeds:
                return name
    raise OptionError(f"seed must be a whole number in [0, {last}), got {seed}")


def _control(
    control: Control, arena: Arena, problem: Problem, split: str, film: Film
) -> tuple[Episode, _Diary]:
    """Runs one problem for the task's budget.

    With a goal picture from a file the problem's goal state stays that of the seed:
    the policy never sees it, and nothing that is measured by it is reported.
    """
    problems = collect_problems([problem], split, arena.fingerprint)
    protocol = problems.protocol("plan", arena.budget)
    with bar(arena.budget, "plan", "step") as progress:
        diary = _Diary(film, progress.update)
        policy = control.policy(arena)
        (episode,) = run_problems(problems, protocol, policy, arena.envs, 1, diary)
    return episode, diary


def _plan(
    config: DictConfig,
    control: Control,
    episode: Episode,
    diary: _Diary,
    subject: Subject,
) -> dict[str, Any]:
    measured = None
    if subject.radius is not None:
        measured = {
            "success": episode.success,
            "start_distance": episode.start_distance,
            "final_distance": episode.final_distance,
            "final": episode.final,
        }
    return {
        "task": episode.task,
        "seed": episode.seed,
        "goal": "the seed's own" if config.goal is None else str(config.goal),
        "model": str(config.model),
        "model_hash": control.model_hash,
        "settings": control.settings,
        "action_spec": control.model.action_spec.to_json(),
        "actions": diary.actions,
        "costs": list(episode.costs),
        "invalid": episode.invalid,
        "measured": measured,
    }


def _summary(plan: dict[str, Any], subject: Subject) -> str:
    costs = [cost for cost in plan["costs"] if cost is not None]
    text = f"{plan['task']} from seed {plan['seed']}: {len(plan['actions'])} steps"
    if costs:
        text += f", cost of the plan {costs[0]:.3g} at first, {costs[-1]:.3g} at last"
    measured = plan["measured"]
    if measured is None:
        return f"{text}; a picture does not tell the true distance, see final.png"
    outcome = "solved" if measured["success"] else "not solved"
    return (
        f"{text}; {outcome}, {subject.shown(measured['start_distance'])} from the goal "
        f"at first, {subject.shown(measured['final_distance'])} at last"
    )
