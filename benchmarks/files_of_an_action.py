"""Which files does a frame pass on its way to an action?

    python -m benchmarks.files_of_an_action

Follows every call of one control step of a push, by the shipped model and settings: a
frame and proprio go in, an action comes out. A file counts where at least one of its
functions runs then; what runs only once, when a model is loaded or a goal is set, does
not. Prints the files, their lines, and the functions that ran, and counts them by part.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np

from worldmodel.commands.compose import compose_config
from worldmodel.commands.control import load_control
from worldmodel.evaluation.arena import TabletopArena
from worldmodel.evaluation.environment import make_env

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("worldmodel", "planners")
TASK = "push"
WARM_UP = 3  # actions; by then the past is as long as it gets


def main() -> None:
    """Prints the files of one action."""
    control = load_control(compose_config("plan", [f"task={TASK}"]))
    env = make_env(TASK, control.model.height, control.model.width)
    observation, _ = env.reset(seed=0)
    policy = control.policy(TabletopArena(env))
    policy.start(env.render_goal()[None], np.zeros(1, dtype=np.int64))
    for _ in range(WARM_UP):
        decision = policy.act(*batch_of_one(observation))
        observation, *_ = env.step(decision.actions[0])
    pixels, proprio = batch_of_one(observation)
    files = files_of(lambda: policy.act(pixels, proprio))
    for file in sorted(files):
        lines = len((ROOT / file).read_text(encoding="utf-8").splitlines())
        print(f"{file} ({lines} lines): {', '.join(sorted(files[file]))}")
    folders = Counter(str(Path(file).parent) for file in files)
    parts = ", ".join(f"{folder} {count}" for folder, count in folders.most_common())
    print(f"{len(files)} files: {parts}")


def batch_of_one(observation: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Frame (1, height, width, 3) and proprio (1, S) of an observation."""
    return observation["pixels"][None], observation["proprio"][None]


def files_of(call: Callable[[], object]) -> dict[str, set[str]]:
    """The functions of ours that a call runs, by their files."""
    found: dict[str, set[str]] = defaultdict(set)

    def see(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(ROOT):
            file = path.relative_to(ROOT)
            if file.parts[0] in PARTS:
                found[str(file)].add(frame.f_code.co_qualname)

    sys.setprofile(see)
    try:
        call()
    finally:
        sys.setprofile(None)
    return dict(found)


if __name__ == "__main__":
    main()
