import pytest

from envs.tabletop import TabletopEnv

BUDGET = 4


@pytest.fixture
def short(monkeypatch):
    """Makes episodes of 4 control steps."""
    monkeypatch.setattr(TabletopEnv, "budget", property(lambda env: BUDGET))
