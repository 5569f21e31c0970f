"""How fast the environment steps, beside the same calls made bare.

    python -m benchmarks.env_speed --steps 300

A bare step is one solve of the inverse kinematics, the `mj_step` calls of a control
step, and one `update_scene` and `render`. Both kinds take turns in blocks, so that
whatever else the machine does slows both. Then, likewise, the simulator as a cost: the
control steps of `ShapedCost` beside bare `mj_step` on one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import mujoco
import numpy as np
import torch

from envs.arm import ArmIK
from envs.graphics import probe, select_backend
from envs.rollouts import SimulatorThreads
from envs.scene import TIMESTEP_S
from envs.simulation import CONTROL_RATE_HZ, Simulation
from envs.tabletop import TabletopEnv
from worldmodel.evaluation.shaped_cost import task_shape
from worldmodel.evaluation.simulator_cost import ShapedCost

SEGMENTS = 10
SUBSTEPS = round(1 / (CONTROL_RATE_HZ * TIMESTEP_S * SEGMENTS))
BLOCK = 10  # steps
SIDE = 96  # [px]
TARGET = 0.8


def main() -> None:
    """Prints the rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300, help="steps of each kind")
    steps = parser.parse_args().steps
    backend = select_backend()
    env = TabletopEnv("Push", SIDE, SIDE)
    env.reset(seed=0)
    bare = Bare(env)
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, 5))
    for action in actions[:3]:  # the first images open the GL contexts
        env.step(action)
        bare.step()
    spent = {"env": 0.0, "bare": 0.0}
    for start in range(0, steps, BLOCK):
        block = actions[start : start + BLOCK]
        spent["env"] += seconds(lambda block=block: [env.step(a) for a in block])
        bare.follow(env.simulation)
        spent["bare"] += seconds(lambda block=block: [bare.step() for _ in block])
    rates = {name: steps / value for name, value in spent.items()}
    ratio = rates["env"] / rates["bare"]
    print(f"{probe(backend, frames=1).driver}, {SIDE} x {SIDE} px, {steps} steps")
    print(
        f"bare calls {rates['bare']:.1f} steps/s, env.step {rates['env']:.1f} steps/s"
    )
    print(f"ratio {ratio:.3f} (target at least {TARGET})")
    bare.report()
    for threads in (1, torch.get_num_threads()):
        simulated, stepped = rollout_rates(threads, bare, env)
        print(
            f"as a cost, {threads} threads: {simulated:.0f} control steps/s, bare "
            f"mj_step {stepped:.0f}, ratio {simulated / stepped:.2f}"
        )


def rollout_rates(
    threads: int, bare: Bare, env: TabletopEnv, rounds: int = 5
) -> tuple[float, float]:
    """Control steps a second of the cost and of bare `mj_step`, taking turns."""
    source = ShapedCost(SimulatorThreads(threads), task_shape("push"))
    states = env.simulation.get_state()[None]
    cost = source.cost(states, states, np.zeros((1, SIDE, SIDE, 3)), states)
    numbers = np.random.default_rng(1).uniform(-1, 1, (1, 48, 6, 5))
    actions = torch.from_numpy(numbers)
    cost(actions[:, :2])
    steps, spent = numbers[..., 0].size, [0.0, 0.0]
    for _ in range(rounds):
        spent[0] += seconds(lambda: cost(actions))
        bare.follow(env.simulation)
        spent[1] += seconds(lambda: [bare.move() for _ in range(steps)])
    return rounds * steps / spent[0], rounds * steps / spent[1]


class Bare:
    """The calls that a control step cannot do without, and nothing around them."""

    def __init__(self, env: TabletopEnv) -> None:
        self._ik = ArmIK()
        self._simulation = Simulation()
        self._model, self._data = self._simulation.model, self._simulation.data
        self._renderer = mujoco.Renderer(self._model, SIDE, SIDE)
        flags = self._renderer.scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self.follow(env.simulation)

    def follow(self, simulation: Simulation) -> None:
        """Takes over a state, so that both kinds work on like contacts."""
        self._simulation.set_state(simulation.get_state())
        self._pose = simulation.command.copy()

    def step(self) -> None:
        """One control step's worth of calls."""
        self.solve()
        self.move()
        self.draw()

    def solve(self) -> None:
        """Inverse kinematics of one pose."""
        self._ik.solve(self._pose)

    def move(self) -> None:
        """Physics of 0.2 s."""
        for _ in range(SEGMENTS):
            mujoco.mj_step(self._model, self._data, SUBSTEPS)

    def draw(self) -> None:
        """One image."""
        self._renderer.update_scene(self._data, "left")
        self._renderer.render()

    def report(self, repeats: int = 20) -> None:
        """Prints what each part costs [ms]."""
        for name, call in (
            ("inverse kinematics", self.solve),
            ("physics", self.move),
            ("rendering", self.draw),
        ):
            taken = seconds(lambda call=call: [call() for _ in range(repeats)])
            print(f"  {name}: {1000 * taken / repeats:.2f} ms")


def seconds(work: Callable[[], object]) -> float:
    """Wall time that `work` takes [s]."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
