import functools

import pytest

from envs.tabletop import TabletopEnv
from worldmodel.commands import demo, evaluate, filming, plan
from worldmodel.evaluation import timing
from worldmodel.evaluation.film import Film
from worldmodel.hardware import MatmulRate

BUDGET = 4
SIDE = 32  # of a small picture of a film [px]


@pytest.fixture
def short(monkeypatch):
    """Makes episodes of 4 control steps, small films, and measures no machine."""
    monkeypatch.setattr(TabletopEnv, "budget", property(lambda env: BUDGET))
    for command in (demo, filming, plan):
        monkeypatch.setattr(command, "Film", functools.partial(Film, side=SIDE))
    monkeypatch.setattr(evaluate, "gl_backend", lambda: "a test backend")
    monkeypatch.setattr(timing, "matmul_rate", lambda device: MatmulRate(1.0, 2.0))
