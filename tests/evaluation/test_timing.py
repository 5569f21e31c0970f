import time

import numpy as np
import pytest

from tests.evaluation.fakes import PointEnv, point_problems
from worldmodel.evaluation import timing
from worldmodel.evaluation.policy import Decision
from worldmodel.evaluation.timing import time_policy
from worldmodel.hardware import MatmulRate


class Sleeper:
    """Plans every second step, and takes long only then."""

    def __init__(self):
        self.calls = 0
        self.batches: set[int] = set()

    def start(self, goal_images, seeds):
        self.batches.add(len(seeds))

    def act(self, pixels, proprio):
        plans = self.calls % 2 == 0
        self.calls += 1
        time.sleep(0.01 if plans else 0.0)
        rest = np.zeros((len(pixels), 2), dtype=np.float32)
        return Decision(rest, np.zeros(1), np.zeros(1, bool), evaluations=int(plans))


@pytest.fixture(autouse=True)
def quick_rate(monkeypatch):
    rates = iter([MatmulRate(10.0, 20.0), MatmulRate(20.0, 40.0)])
    monkeypatch.setattr(timing, "matmul_rate", lambda device: next(rates))


def test_only_calls_that_plan_are_counted_one_problem_at_a_time():
    policy = Sleeper()
    measured = time_policy(policy, point_problems(2), PointEnv(), budget=6)
    assert policy.batches == {1}
    assert measured.calls == 2 * 6 / 2 - 3
    assert 9.0 < measured.p50_ms <= measured.p99_ms
    assert (measured.matmul.fp32_gflops, measured.matmul.bf16_gflops) == (15.0, 30.0)


def test_too_few_calls_are_refused():
    with pytest.raises(ValueError, match="more than 3 calls, got 2"):
        time_policy(Sleeper(), point_problems(1), PointEnv(), budget=2)
