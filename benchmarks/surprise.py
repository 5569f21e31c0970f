"""Do impossible events surprise the model? Counted on fresh play, with its simulator.

    python -m benchmarks.surprise --episodes 100

In episodes of play that no training has seen, a moment is replaced by one that cannot
follow from the moment before and the action: the simulator's state is set to it, and it
is rendered. Each event is compared with all moments of the same episodes as they came:
AUROC, and the share of events above their 99th percentile. Beside `surprise` stand two
others: the mean square of the same errors, and of errors of latents that no proprio
has corrected.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from envs.play import PlayMix
from envs.recording import PlayRecorder, Recording
from envs.tabletop import TabletopEnv
from worldmodel.evaluation.environment import make_env
from worldmodel.evaluation.statistics import percentile, wilson_interval
from worldmodel.model import WorldModel
from worldmodel.resources import find_weights

SEED = 1_000_003  # of the play; training's is 0
STEPS = 48
KNOWN = 8  # moments before an event that the model sees
ON_TABLE_M = 0.035  # height of a cube's centre that lies there
APART_M = 0.10  # of gripper and cube, where the cube is nobody's
HELD_M = 0.03
TRAY_M = ((0.35, 0.65), (-0.25, 0.25))  # where a cube is put back to
MOVED_M = 0.03  # a hand that was told to move, and did
RARE = 99.0  # percentile of possible moments

Place = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Where a cube at (3,) [m] is put."""
Measure = Callable[[WorldModel, Tensor, Tensor, Tensor], Tensor]
"""Surprise (B, T - 1) of frames, actions and proprio (B, T, ...)."""


@dataclass(frozen=True)
class Event:
    """Something impossible that happens to the cube.

    Attributes:
        name: of the row.
        place: where the cube is put.
        held: whether it happens to a cube in the hand, or to one that lies by itself.
    """

    name: str
    place: Place
    held: bool = False


def teleported(by: float) -> Place:
    """Moves a cube along the table by a distance [m], within the tray."""

    def place(cube: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        for angle in rng.uniform(0, 2 * np.pi, size=100):
            there = cube + by * np.array([np.cos(angle), np.sin(angle), 0.0])
            if all(a <= x <= b for x, (a, b) in zip(there, TRAY_M, strict=False)):
                return there
        return cube - np.array([np.sign(cube[0] - 0.5) * by, 0.0, 0.0])

    return place


def lifted(by: float) -> Place:
    """Moves a cube up by a distance [m], or down."""
    return lambda cube, rng: cube + np.array([0.0, 0.0, by])


def gone(cube: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Far away, where no camera looks."""
    return cube - np.array([0.0, 0.0, 50.0])


EVENTS = (
    Event("cube vanishes", gone),
    Event("cube vanishes from the hand", gone, held=True),
    Event("cube teleports 12 cm", teleported(0.12)),
    Event("cube teleports 6 cm", teleported(0.06)),
    Event("cube floats 8 cm up", lifted(0.08)),
    Event("cube sinks 3 cm into the table", lifted(-0.03)),
)
STILL = "hand does not move though told to"


def surprise(model: WorldModel, frames: Tensor, actions: Tensor, felt: Tensor):
    """The model's own."""
    return model.surprise(frames, actions, felt)


def mean_square(model: WorldModel, frames: Tensor, actions: Tensor, felt: Tensor):
    """Of the same errors, all directions of a latent alike."""
    return model.prediction_errors(frames, actions, felt).square().mean(-1)


def uncorrected(model: WorldModel, frames: Tensor, actions: Tensor, felt: Tensor):
    """The mean square again, of latents as the picture tells them."""
    return model.prediction_errors(frames, actions).square().mean(-1)


MEASURES: tuple[Measure, ...] = (uncorrected, mean_square, surprise)


def main() -> None:
    """Prints a row for each event."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="reference")
    parser.add_argument("--episodes", type=int, default=100)
    options = parser.parse_args()
    model = WorldModel.from_pretrained(find_weights(options.model))
    env = make_env("Push", model.height, model.width)
    recorder = PlayRecorder(PlayMix(), SEED, STEPS, model.height, model.width)
    play = [recorder.record(index) for index in range(options.episodes)]
    possible = [
        torch.cat([ended(measure, model, episode) for episode in play]).numpy()
        for measure in MEASURES
    ]
    names = [measure.__name__.replace("_", " ") for measure in MEASURES]
    print(f"possible: {len(possible[0])} moments of {len(play)} episodes; in each cell")
    print(f"AUROC, and the share above their {RARE:.0f}th percentile (95% interval)")
    print(f"| event | n | {' | '.join(names)} |")
    print("|---|---|" + "---|" * len(names))
    for name, films in impossible(env, play).items():
        cells = [
            cell(found, [float(ended(measure, model, film)[-1]) for film in films])
            for measure, found in zip(MEASURES, possible, strict=True)
        ]
        print(f"| {name} | {len(films)} | {' | '.join(cells)} |", flush=True)


def ended(measure: Measure, model: WorldModel, film: Recording) -> Tensor:
    """How much each moment (T - 1,) of a film but the first surprises."""
    frames, actions, felt = (
        torch.from_numpy(rows)[None]
        for rows in (film.frames, film.actions[:-1], film.proprio)
    )
    return measure(model, frames, actions, felt)[0]


def impossible(env: TabletopEnv, play: list[Recording]) -> dict[str, list[Recording]]:
    """Films that end with an impossible moment, by its name; one of an episode."""
    films: dict[str, list[Recording]] = {event.name: [] for event in EVENTS}
    films[STILL] = []
    for index, episode in enumerate(play):
        rng = np.random.default_rng([SEED, index])
        grips, cubes = places(env, episode)
        apart = np.linalg.norm(grips - cubes, axis=1)
        lies = (cubes[:, 2] < ON_TABLE_M) & (apart > APART_M)
        held = (cubes[:, 2] > 2 * ON_TABLE_M) & (apart < HELD_M)
        for event in EVENTS:
            for now in drawn(held if event.held else lies, rng):
                there = event.place(cubes[now], rng)
                films[event.name].append(altered(env, episode, now, there))
        moved = np.linalg.norm(np.diff(grips, axis=0, prepend=grips[:1]), axis=1)
        for now in drawn(moved > MOVED_M, rng):
            film = cut(episode, now)
            film.frames[-1], film.proprio[-1] = film.frames[-2], film.proprio[-2]
            films[STILL].append(film)
    return films


def drawn(fits: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    """One moment of those that fit, bool (T,), with a past; none where none does."""
    moments = np.flatnonzero(fits[KNOWN:]) + KNOWN
    if len(moments):
        yield int(rng.choice(moments))


def places(env: TabletopEnv, episode: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Where gripper and cube are at each moment, (T, 3) each [m]."""
    found = []
    for state in episode.sim_state:
        env.set_state(state)
        now = env.simulation.quantities()
        found.append((now.gripper_pos_world, now.cube_pos_world))
    grips, cubes = zip(*found, strict=True)
    return np.stack(grips), np.stack(cubes)


def cut(episode: Recording, now: int) -> Recording:
    """The moments up to `now`, copied."""
    some = slice(now - KNOWN, now + 1)
    return Recording(*(rows[some].copy() for rows in vars(episode).values()))


def altered(
    env: TabletopEnv, episode: Recording, now: int, cube: np.ndarray
) -> Recording:
    """The moments up to `now`, in the last of which the cube is at (3,) [m]."""
    film = cut(episode, now)
    env.set_state(film.sim_state[-1])
    env.simulation.data.joint("cube").qpos[:3] = cube
    env.set_state(env.get_state())
    film.frames[-1] = env.observe()["pixels"]
    return film


def cell(possible: np.ndarray, events: list[float]) -> str:
    """AUROC and share above a percentile of the possible, with Wilson's interval."""
    if not events:
        return "–"
    found = np.array(events)
    pairs = found[:, None] - possible[None]
    auroc = (pairs > 0).mean() + 0.5 * (pairs == 0).mean()
    above = int((found > percentile(possible, RARE)).sum())
    low, high = wilson_interval(above, len(found))
    share = above / len(found)
    return f"{auroc:.2f}, {share:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
