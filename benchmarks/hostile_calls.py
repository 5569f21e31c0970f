"""Calls of the API with hostile arguments."""

# Wrong arguments are what is tried here.
# pyright: reportArgumentType=false

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.hostile_cases import WORKS, Case
from envs.tabletop import TabletopEnv
from planners import CEM, CMAES, ICEM, MPC, MPPI, Gradient, Penalties, RandomShooting
from worldmodel.evaluation.world_model_policy import WorldModelPolicy
from worldmodel.model import WorldModel
from worldmodel.resources import find_weights

NAN = float("nan")
WRONG: tuple[Any, ...] = ("64", None, NAN, float("inf"), -1, [], 10**12, True)
PLANNERS: dict[type, tuple[str, ...]] = {
    CEM: ("samples", "elites", "iterations", "std", "min_std", "kept", "correlation"),
    ICEM: ("samples", "colour", "decay"),
    MPPI: ("samples", "temperature", "elites"),
    CMAES: ("samples", "iterations", "std"),
    Gradient: ("starts", "iterations", "rate"),
    RandomShooting: ("samples", "std"),
    Penalties: ("effort", "smoothness"),
}
# A temperature without end weighs all alike; a large decay or noise of a large colour
# is allowed.
GOOD = (("temperature", float("inf")), ("temperature", 10**12), ("decay", 10**12))
GOOD += (("colour", 10**12), ("rate", 10**12), ("std", 10**12), ("min_std", 10**12))
GOOD += (("effort", 10**12), ("smoothness", 10**12))


def calls() -> Iterator[Case]:
    """Gives the cases."""
    for kind, names in PLANNERS.items():
        for name in names:
            for value in WRONG:
                if (name, value) in GOOD:
                    continue
                run = functools.partial(_call, functools.partial(kind, **{name: value}))
                yield Case(f"calls/{kind.__name__}({name}={value!r})", run, (name,))
    for name in ("horizon", "execute", "hold", "proposals", "min_improvement"):
        for value in WRONG:
            if (name, value) in (("min_improvement", 10**12), ("proposals", 10**12)):
                continue
            make = functools.partial(MPC, CEM(), **{"horizon": 6, name: value})
            run = functools.partial(_call, make)
            yield Case(f"calls/MPC({name}={value!r})", run, (name,))
    for name, call, *says in _CALLS:
        right = WORKS if name.startswith("control") else "clear"
        run = functools.partial(_call, call)
        yield Case(f"calls/{name}", run, tuple(says), right)


def _call(call: Callable[[], object], folder: Path) -> int:
    del folder
    call()
    return 0


@functools.cache
def _model() -> WorldModel:
    return WorldModel.from_pretrained(find_weights("reference"))


def _numbers(*shape: int, first: float = 0.0) -> torch.Tensor:
    values = torch.zeros(shape)
    if values.numel():
        values.view(-1)[0] = first
    return values


def _pixels(*shape: int) -> torch.Tensor:
    return torch.zeros(*shape, 96, 96, 3, dtype=torch.uint8)


def _remember(latents: Any = None, proprio: Any = None, action: Any = None) -> object:
    """The second of two moments of two problems."""
    latents = _numbers(2, 1, 64) if latents is None else latents
    proprio = _numbers(2, 20) if proprio is None else proprio
    action = _numbers(2, 5) if action is None else action
    past = _model().remember(None, None, _numbers(2, 1, 64), _numbers(2, 20))
    return _model().remember(past, action, latents, proprio)


def _plan(
    goal: Any = None,
    latents: Any = None,
    actions: Any = None,
    proprio: Any = None,
    width: Any = 5,
    seeds: Any = None,
    mpc: MPC | None = None,
) -> object:
    """The quick start, on made-up pictures."""
    model = _model()
    goal = model.encode(_pixels(1, 1))[:, -1] if goal is None else goal
    latents = model.encode(_pixels(1, 1)) if latents is None else latents
    actions = _numbers(1, 0, 5) if actions is None else actions
    proprio = _numbers(1, 1, 20) if proprio is None else proprio
    context = model.context(latents, actions, proprio)
    cost, propose = model.goal_cost(context, goal), model.proposals(context, goal)
    mpc = mpc or MPC(CEM(samples=32, elites=4, iterations=1), horizon=2)
    begin = mpc.start(torch.tensor([0]) if seeds is None else seeds, width)
    return mpc.step(cost, begin, propose)


def _context() -> Any:
    return _model().context(_numbers(1, 1, 1, 64), _numbers(1, 0, 5))


def _predict(actions: Any) -> object:
    return _model().predict(_context(), actions)


def _cost_of(actions: Any) -> object:
    return _model().goal_cost(_context(), _numbers(1, 1, 64))(actions)


def _search(cost: Callable) -> object:
    return CEM(8, 2, 1).plan(cost, torch.zeros(1, 2, 5), torch.tensor([0]))


def _step(action: Any, reset: bool = True) -> object:
    env = TabletopEnv()
    if reset:
        env.reset(seed=0)
    return env.step(action)


def _reset(**options: Any) -> object:
    return TabletopEnv().reset(seed=0, options=options)


def _act(proprio: Any = None, pixels: Any = None, goal: Any = None) -> object:
    mpc = MPC(CEM(samples=32, elites=4, iterations=1), horizon=2)
    policy = WorldModelPolicy(_model(), mpc, _model().action_spec)
    picture = np.zeros((1, 96, 96, 3), np.uint8)
    policy.start(picture if goal is None else goal, np.zeros(1, np.int64))
    proprio = np.zeros((1, 20), np.float32) if proprio is None else proprio
    return policy.act(picture if pixels is None else pixels, proprio)


_F = functools.partial
_CALLS: list[Any] = [
    ("control: the quick start", _plan),
    ("control: remember", _remember),
    ("control: act", _act),
    ("NaN goal", _F(_plan, goal=_numbers(1, 1, 64, first=NAN)), "goal"),
    ("infinite goal", _F(_plan, goal=_numbers(1, 1, 64, first=torch.inf)), "goal"),
    ("goal of another batch", _F(_plan, goal=_numbers(2, 1, 64)), "goal"),
    ("goal of another width", _F(_plan, goal=_numbers(1, 1, 63)), "goal"),
    ("goal of numpy", _F(_plan, goal=np.zeros((1, 1, 64))), "goal"),
    ("goal is a picture", _F(_plan, goal=_pixels(1)), "goal"),
    ("NaN latents", _F(_plan, latents=_numbers(1, 1, 1, 64, first=NAN)), "latents"),
    ("latents of rank 3", _F(_plan, latents=_numbers(1, 1, 64)), "latents"),
    ("latents are pixels", _F(_plan, latents=_pixels(1, 1)), "latents"),
    ("past of 4", _F(_plan, actions=_numbers(1, 0, 4)), "actions"),
    ("past too long", _F(_plan, actions=_numbers(1, 2, 5)), "actions"),
    ("NaN proprio", _F(_plan, proprio=_numbers(1, 1, 20, first=NAN)), "proprio"),
    ("proprio of 7", _F(_plan, proprio=_numbers(1, 1, 7)), "proprio"),
    ("proprio of 21", _F(_plan, proprio=_numbers(1, 1, 21)), "proprio"),
    ("proprio of 2", _F(_plan, proprio=_numbers(1, 1, 2)), "proprio"),
    ("proprio of rank 2", _F(_plan, proprio=_numbers(1, 20)), "proprio"),
    ("proprio of numpy", _F(_plan, proprio=np.zeros((1, 1, 20))), "proprio"),
    ("start of width 4", _F(_plan, width=4), "actions", "A=5"),
    ("start of width None", _F(_plan, width=None), "action_size"),
    ("start of a number", _F(_plan, seeds=0), "seeds"),
    ("start of a list", _F(_plan, seeds=[0]), "seeds"),
    ("start of floats", _F(_plan, seeds=torch.zeros(1)), "seeds"),
    ("start of two", _F(_plan, seeds=torch.tensor([0, 1])), "actions", "B=1"),
    ("remember NaN latents", _F(_remember, _numbers(2, 1, 64, first=NAN)), "latents"),
    ("remember one of two", _F(_remember, _numbers(1, 1, 64)), "(1, 20)"),
    ("remember none", _F(_remember, _numbers(0, 1, 64)), "latents"),
    (
        "remember NaN proprio",
        _F(_remember, None, _numbers(2, 20, first=NAN)),
        "proprio",
    ),
    ("remember proprio of one", _F(_remember, None, _numbers(1, 20)), "proprio"),
    ("remember NaN action", _F(_remember, None, None, _numbers(2, 5, first=NAN))),
    ("remember 4 actions", _F(_remember, None, None, _numbers(2, 4)), "action"),
    ("remember a list", _F(_remember, None, None, [0.0] * 5), "action"),
    ("predict 4 actions", _F(_predict, _numbers(1, 2, 2, 4)), "actions", "A=5"),
    ("predict of two", _F(_predict, _numbers(2, 2, 2, 5)), "actions", "B=1"),
    ("predict rank 3", _F(_predict, _numbers(1, 2, 5)), "actions"),
    ("predict NaN", _F(_predict, _numbers(1, 2, 2, 5, first=NAN)), "actions"),
    ("predict None", _F(_predict, None), "actions"),
    ("cost of 4 actions", _F(_cost_of, _numbers(1, 2, 2, 4)), "actions", "A=5"),
    ("cost of two", _F(_cost_of, _numbers(2, 2, 2, 5)), "actions", "B=1"),
    ("cost of None", _F(_cost_of, None), "actions"),
    ("costs of numpy", _F(_search, lambda a: a.numpy().sum((-2, -1))), "ndarray"),
    ("costs of one", _F(_search, lambda a: a.sum()), "(B, N)"),
    ("costs None", _F(_search, lambda a: None), "NoneType"),
    ("MPC(None)", _F(MPC, None, 6), "planner"),
    ("MPC('cem')", _F(MPC, "cem", 6), "planner"),
    ("MPC(CEM)", _F(MPC, CEM, 6), "planner"),
    ("MPC too much", _F(MPC, CEM(samples=10**6), 100), "candidates"),
    ("from_pretrained('')", _F(WorldModel.from_pretrained, ""), "path"),
    ("from_pretrained('.')", _F(WorldModel.from_pretrained, "."), "config.json"),
    ("from_pretrained('/')", _F(WorldModel.from_pretrained, "/"), "config.json"),
    ("from_pretrained(None)", _F(WorldModel.from_pretrained, None), "None"),
    ("from_pretrained('x')", _F(WorldModel.from_pretrained, "x"), "x"),
    ("find_weights('')", _F(find_weights, ""), "reference"),
    ("find_weights('x')", _F(find_weights, "x"), "reference"),
    ("encode None", lambda: _model().encode(None), "frames"),
    ("encode numpy", lambda: _model().encode(np.zeros((1, 1, 96, 96, 3))), "frames"),
    ("encode 8 x 8", lambda: _model().encode(torch.zeros(1, 1, 8, 8, 3)), "frames"),
    ("encode rank 4", lambda: _model().encode(_pixels(1)), "frames"),
    ("encode no frames", lambda: _model().encode(_pixels(1, 0)), "frames"),
    ("encode NaN", lambda: _model().encode(_pixels(1, 1) * NAN), "frames"),
    ("encode_newest none", lambda: _model().encode_newest(_pixels(1, 0)), "frames"),
    ("surprise of one", lambda: _model().surprise(_pixels(1, 1), _numbers(1, 0, 5))),
    (
        "surprise of NaN",
        lambda: _model().surprise(_pixels(1, 2), _numbers(1, 1, 5) + NAN),
    ),
    ("step before reset", _F(_step, np.zeros(5), reset=False), "reset"),
    ("step 4", _F(_step, np.zeros(4)), "action"),
    ("step NaN", _F(_step, np.full(5, NAN)), "action"),
    ("step None", _F(_step, None), "action"),
    ("step texts", _F(_step, ["a"] * 5), "action"),
    ("step two rows", _F(_step, np.zeros((2, 5))), "action"),
    ("reset unknown", _F(_reset, stat=1), "stat"),
    ("reset state of 3", _F(_reset, state=np.zeros(3), goal=np.zeros(3)), "state"),
    ("reset scene", _F(_reset, scene="moon"), "scene"),
    ("env of no task", _F(TabletopEnv, "Fly"), "Push"),
    ("env of no size", _F(TabletopEnv, "Push", 0, 0), "height"),
    ("env of render mode", _F(TabletopEnv, "Push", render_mode="human"), "rgb_array"),
    ("act NaN", _F(_act, np.full((1, 20), NAN, np.float32)), "proprio"),
    ("act of 7", _F(_act, np.zeros((1, 7), np.float32)), "proprio"),
    ("act of two", _F(_act, np.zeros((2, 20), np.float32)), "proprio"),
    ("act on 8 x 8", _F(_act, None, np.zeros((1, 8, 8, 3), np.uint8)), "frame"),
    ("act toward floats", _F(_act, None, None, np.zeros((1, 96, 96, 3))), "goal"),
]
