"""Protocol *swm*: stable-worldmodel's own evaluation, in its own `World.evaluate`.

    .venv-peers-full/bin/python -m benchmarks.peers.swm pusht --data data/pusht \
        --method random --n 200                                        # or: cube
    … --method ours --model runs/train/pusht/model
    … --method lewm --model runs/lewm/checkpoints/lewm --n 50

A start is a moment of the training file, its goal is 25 steps later in the same
episode, and success is to have been there at some step of 50, however it ends. Starts
that are solved already count as theirs do, and are told. The problems are a file in
`--out`; each finished group of them is kept, so the same command goes on after a kill.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.lewm import PackedCosts, load_lewm, peer_policy
from benchmarks.peers.outcomes import Outcomes, load_json, save_json
from benchmarks.peers.sources import SOURCES, Source, source
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.errors import WorldModelError
from worldmodel.evaluation.adapters.adapted_env import judged
from worldmodel.evaluation.adapters.finding import find_adapter, make_adapter

SEED = 42  # theirs
BUDGET = 50
AHEAD = 25
METHODS = ("random", "ours", "lewm")


@dataclass(frozen=True)
class Starts:
    """Where n episodes begin.

    Attributes:
        episodes: Place of the episode in the file, of each.
        steps: Step in it.
        solved: Whether the goal is reached there already.
    """

    episodes: list[int]
    steps: list[int]
    solved: list[bool]


def main() -> None:
    """Evaluates one method."""
    options = _options()
    try:
        known = source(options.source)
        starts = prepare_starts(known, options.data / "train.h5", options)
        out = options.out / f"{options.method}.json"
        found = evaluate(known, options, starts, out)
    except (ValueError, OSError, WorldModelError) as error:
        sys.exit(str(error))
    print(f"{options.method}: {found.text}; {out}")


def draw(lengths: np.ndarray, n: int, seed: int) -> tuple[list[int], list[int]]:
    """Draws n different moments that have a goal 25 steps later, in their order.

    Args:
        lengths: int (E,) moments of each episode.
        n: How many.
        seed: Of the draw.

    Raises:
        ValueError: There are not so many.
    """
    room = np.maximum(lengths - AHEAD, 0)
    if not 1 <= n <= room.sum():
        raise ValueError(f"n must be in [1, {room.sum()}], got {n}")
    chosen = np.random.default_rng(seed).choice(room.sum(), size=n, replace=False)
    ends = np.cumsum(room)
    episodes = np.searchsorted(ends, chosen, side="right")
    steps = chosen - (ends - room)[episodes]
    return episodes.tolist(), steps.tolist()


def prepare_starts(known: Source, data: Path, options: argparse.Namespace) -> Starts:
    """Gives the first n starts of a file of them, made where it is missing."""
    path = options.out / "starts.json"
    saved = load_json(path)
    if saved is not None and len(saved["episodes"]) >= options.n:
        return Starts(**{name: rows[: options.n] for name, rows in saved.items()})
    h5py = importlib.import_module("h5py")
    with h5py.File(data) as file:
        lengths, offsets = file["ep_len"][:], file["ep_offset"][:]
        states = np.concatenate([file[name][:] for name in known.state], axis=1)
    most = max(options.n, options.of)
    episodes, steps = draw(lengths, most, SEED)
    rows = offsets[episodes] + steps
    adapter = make_adapter(known.env, find_adapter(known.env))
    adapter.env.reset(seed=SEED)
    pairs = zip(states[rows], states[rows + AHEAD], strict=True)
    solved = [judged(adapter, now, goal)["is_success"] for now, goal in pairs]
    adapter.env.close()
    starts = Starts(episodes, steps, solved)
    save_json(path, asdict(starts))
    return Starts(**{name: rows[: options.n] for name, rows in asdict(starts).items()})


def evaluate(
    known: Source, options: argparse.Namespace, starts: Starts, out: Path
) -> Outcomes:
    """Runs what is missing, a group at a time; gives all outcomes."""
    make, model = _maker(options)
    conditions = {
        "protocol": "swm",
        "env": known.env,
        "method": options.method,
        "model": model,
        "ahead": AHEAD,
        "budget": BUDGET,
    }
    found = Outcomes.load(out, conditions)
    swm = importlib.import_module("stable_worldmodel")
    dataset = swm.data.load_dataset(str((options.data / "train.h5").resolve()))
    n = len(starts.episodes)
    while len(found.successes) < n:
        some = slice(len(found.successes), min(len(found.successes) + options.group, n))
        began = time.perf_counter()
        with _world(known, some.stop - some.start) as world:
            world.set_policy(make(some.start))
            with contextlib.redirect_stdout(io.StringIO()):
                metrics = world.evaluate(
                    dataset=dataset,
                    episodes_idx=starts.episodes[some],
                    start_steps=starts.steps[some],
                    goal_offset=AHEAD,
                    eval_budget=BUDGET,
                    callables=list(known.restoring),
                )
        successes = [bool(x) for x in metrics["episode_successes"]]
        found = found.extended(successes, time.perf_counter() - began)
        found.save(out, solved_at_start=sum(starts.solved[: some.stop]))
        print(f"{options.method}: {found.text}", flush=True)
    return found


def _maker(options: argparse.Namespace) -> tuple[Callable[[int], Any], str | None]:
    """Gives what makes a policy of theirs for the group that begins at a place.

    And the hash of its model's weights, None where there is no model.
    """
    swm = importlib.import_module("stable_worldmodel")
    if options.method == "random":
        return lambda first: swm.policy.RandomPolicy(seed=SEED + first), None
    if options.model is None:
        raise ValueError(f"--method {options.method} needs --model FOLDER")
    if options.method == "ours":
        ours = importlib.import_module("examples.stable_worldmodel_policy")
        policy = ours.StableWorldModelPolicy.from_pretrained(options.model)
        config = load_json(options.model / "config.json")
        return lambda first: policy, config["weights_hash"]
    model = load_lewm(options.model)
    data = options.data / "train.h5"
    costs = PackedCosts(model)
    return lambda first: peer_policy(costs, data, SEED + first), weights_hash(model)


@contextlib.contextmanager
def _world(known: Source, envs: int) -> Any:
    swm = importlib.import_module("stable_worldmodel")
    importlib.import_module("stable_worldmodel.envs")
    side = (known.side, known.side)
    world = swm.World(
        known.env, envs, side, max_episode_steps=2 * BUDGET, **known.evaluated
    )
    try:
        yield world
    finally:
        world.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", choices=SOURCES)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--method", choices=METHODS, required=True)
    parser.add_argument("--model", type=Path, help="of ours or lewm")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--of", type=int, default=1000, help="starts that are drawn")
    parser.add_argument("--group", type=int, default=25, help="starts side by side")
    parser.add_argument("--out", type=Path, help="default runs/peers/swm/SOURCE")
    options = parser.parse_args()
    options.out = options.out or Path("runs/peers/swm") / options.source
    return options


if __name__ == "__main__":
    main()
