import dataclasses
import itertools

import pytest

from tests.evaluation.fakes import protocol
from worldmodel.evaluation.protocol import (
    SPLIT_SEEDS,
    Protocol,
    ProtocolMismatch,
    require_same,
)

CHANGED = {
    "name": "quick",
    "task": "Push",
    "split": "test",
    "n": 51,
    "budget": 3,
    "environment": "another",
    "version": 2,
}


def test_splits_share_no_seed():
    ranges = sorted(SPLIT_SEEDS.values(), key=lambda seeds: seeds.start)
    for earlier, later in itertools.pairwise(ranges):
        assert earlier.stop <= later.start


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Protocol)])
def test_the_hash_changes_with_every_field(name):
    rules = protocol(50)
    assert dataclasses.replace(rules, **{name: CHANGED[name]}).hash != rules.hash


def test_the_hash_is_the_same_in_every_process():
    assert protocol(50).hash == "ba381f92a5a8"


def test_protocols_that_differ_cannot_be_mixed():
    rules = protocol(50)
    assert require_same([rules, protocol(50)]) == rules
    with pytest.raises(ProtocolMismatch, match="differ in budget 2 and 3"):
        require_same([rules, dataclasses.replace(rules, budget=3)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "holdout"}, "split must be one of .*validation.*, got 'holdout'"),
        ({"n": 0}, "n must be at least 1, got 0"),
        ({"budget": 0}, "budget must be at least 1 step, got 0"),
    ],
)
def test_a_protocol_refuses_values_without_meaning(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(protocol(50), **change)
