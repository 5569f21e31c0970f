from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from tests.training.test_jepa import FRAMES
from tests.training.test_jepa import RECIPE as JEPA
from tests.training.test_planning import ACTIONS, DATA, LOOK
from tests.training.test_planning import RECIPE as PLANNING
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.policy_prior import PolicyPrior
from worldmodel.predictors import ActionPredictor
from worldmodel.training.distance import DistanceLearner, distance_job
from worldmodel.training.jepa import jepa_job
from worldmodel.training.policy_prior import policy_prior_job
from worldmodel.training.predictor import predictor_job
from worldmodel.training.recorded import (
    WARM,
    LossTerms,
    RecordedStep,
    Run,
    kind_of,
    rebuilt,
    tensors_of,
)
from worldmodel.training.updates import Job, Updates

CPU = torch.device("cpu")
STEPS = 12


class Replays:
    """Stands for CUDA graphs: does again, on the same tensors, what was recorded."""

    def __init__(self) -> None:
        self.recorded = 0

    def warm(self, run: Run) -> LossTerms:
        return run()

    def record(self, run: Run) -> tuple[Callable[[], None], LossTerms]:
        self.recorded += 1
        terms: LossTerms = {}
        return lambda: terms.update(run()), terms


def jepa(generator: torch.Generator) -> dict[str, Job]:
    return {"jepa": jepa_job(JEPA, FRAMES, CPU, generator)[1]}


def planning(generator: torch.Generator) -> dict[str, Job]:
    recipe, dim = PLANNING, DATA.latents.shape[1]
    predictor = ActionPredictor(recipe.predictor.spec(dim, ACTIONS.shape[1]))
    learner = DistanceLearner(recipe.distance.spec(LOOK), torch.ones(1, 1))
    prior = PolicyPrior(recipe.policy_prior.spec(LOOK, ACTIONS.shape[1]))
    return {
        "predictor": predictor_job(
            recipe.predictor, predictor, DATA, ACTIONS, generator
        ),
        "distance": distance_job(recipe.distance, learner, DATA, generator),
        "policy_prior": policy_prior_job(
            recipe.policy_prior, prior, DATA, ACTIONS, learner.online, generator
        ),
    }


@pytest.mark.parametrize("jobs_of", [jepa, planning])
def test_recorded_steps_are_those_that_were_not_recorded(jobs_of):
    ends = []
    for recorder in (None, Replays()):
        torch.manual_seed(0)
        generator = torch.Generator().manual_seed(0)
        jobs = jobs_of(generator)
        updates = Updates(jobs, 1e-3, 0.02, 1.0, recorder)
        terms = [
            {name: float(value) for name, value in updates.take(1e-3).items()}
            for _ in range(STEPS)
        ]
        ends.append((terms, {n: weights_hash(job.module) for n, job in jobs.items()}))
        assert recorder is None or recorder.recorded
    assert ends[0] == ends[1]


@pytest.mark.parametrize("jobs_of", [jepa, planning])
def test_steps_that_may_be_recorded_draw_nothing(jobs_of):
    generator = torch.Generator().manual_seed(0)
    for job in jobs_of(generator).values():
        batch = job.draw()
        before = generator.get_state(), torch.get_rng_state()
        job.loss(batch)
        assert torch.equal(generator.get_state(), before[0])
        assert torch.equal(torch.get_rng_state(), before[1])


@dataclass(frozen=True)
class Batch:
    x: Tensor
    times: int


def test_each_kind_is_recorded_once_after_it_was_warm():
    recorder, total = Replays(), nn.Parameter(torch.zeros(()))

    def step(batch: Batch) -> LossTerms:
        total.data += batch.times * batch.x.sum()
        return {"total": total.detach().clone()}

    take = RecordedStep(step, recorder)
    expected = 0.0
    for index in range(3 * WARM):
        for batch in (Batch(torch.ones(2) * index, 1), Batch(torch.ones(3), 2)):
            expected += batch.times * float(batch.x.sum())
            assert float(take(batch)["total"]) == expected
    assert recorder.recorded == 2


def test_batches_are_taken_apart_and_put_together():
    batch = {"a": (Batch(torch.zeros(2), 1), torch.ones(1)), "b": None, "c": 3}
    tensors = list(tensors_of(batch))
    assert [t.shape for t in tensors] == [(2,), (1,)]
    again = rebuilt(batch, iter([t + 1 for t in tensors]))
    assert [float(t[0]) for t in tensors_of(again)] == [1.0, 2.0]
    assert kind_of(again) == kind_of(batch)
    assert again["b"] is None
    assert again["c"] == 3
    first = batch["a"][0]
    assert kind_of(replace(first, times=2)) != kind_of(first)
    assert kind_of(replace(first, x=torch.zeros(3))) != kind_of(first)
