import json
from dataclasses import replace

import numpy as np
import pytest

from worldmodel.action_spec import FIELDS, ActionSpec, require_same
from worldmodel.errors import SpecMismatchError, WorldModelError

SPEC = ActionSpec(
    names=("dx", "grip"),
    units=("m", "1"),
    scales=(0.05, 1.0),
    frames=("world", "gripper"),
    rate_hz=5.0,
)


def test_a_spec_survives_json():
    text = json.dumps(SPEC.to_json())
    assert ActionSpec.from_json(json.loads(text)) == SPEC


def test_size_counts_the_dimensions():
    assert SPEC.size == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ()}, "names must not be empty"),
        ({"names": ("dx", "dx")}, "names must differ"),
        ({"units": ("m",)}, "units must have one entry for each of the 2 names, got 1"),
        ({"scales": (0.05, 0.0)}, r"scales must be positive.*0\.0"),
        ({"scales": (0.05, float("nan"))}, "scales must be positive and finite"),
        ({"rate_hz": -1.0}, r"rate_hz must be positive and finite, got -1\.0"),
        ({"block": 0}, "block must be at least 1, got 0"),
    ],
)
def test_a_bad_spec_is_refused(changes, message):
    with pytest.raises(WorldModelError, match=message):
        replace(SPEC, **changes)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("names", "dx", "names must be a list"),
        ("units", ["m", 1], "units must hold texts, got 1"),
        ("scales", [0.05, "1"], "scales must be finite numbers"),
        ("rate_hz", True, "rate_hz must be finite numbers, got True"),
        ("block", 1.5, "block must be a whole number, got 1.5"),
        ("speed", 1, r"unknown: \['speed'\]"),
    ],
)
def test_bad_json_is_refused(field, value, message):
    with pytest.raises(WorldModelError, match=message):
        ActionSpec.from_json(SPEC.to_json() | {field: value})


def test_a_missing_field_is_named():
    values = SPEC.to_json()
    del values["rate_hz"]
    with pytest.raises(WorldModelError, match=r"missing: \['rate_hz'\]"):
        ActionSpec.from_json(values)


def test_equal_specs_pass_and_different_ones_are_both_shown():
    require_same(SPEC, replace(SPEC))
    other = replace(SPEC, rate_hz=10.0)
    with pytest.raises(SpecMismatchError) as caught:
        require_same(SPEC, other)
    message = str(caught.value)
    assert "rate_hz: model 5.0, env 10.0" in message
    assert str(SPEC.to_json()) in message
    assert str(other.to_json()) in message
    assert "scales: model" not in message


SHIFTED = replace(SPEC, scales=(0.5, 256.0), offsets=(0.0, 256.0), absolute=True)


def test_json_has_offsets_and_absolute_only_where_they_say_something():
    assert set(SPEC.to_json()) == set(FIELDS)
    assert replace(SPEC, offsets=(0.0, 0.0)) == SPEC
    values = json.loads(json.dumps(SHIFTED.to_json()))
    assert values["offsets"] == [0.0, 256.0]
    assert values["absolute"] is True
    assert ActionSpec.from_json(values) == SHIFTED


def test_actions_stand_for_values_and_back():
    actions = np.array([[-1, -1], [0, 0], [1, 1]], np.float32)
    values = SHIFTED.in_units(actions)
    assert values.tolist() == [[-0.5, 0], [0, 256], [0.5, 512]]
    assert np.array_equal(SHIFTED.normalised(values), actions)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offsets": [1.0]}, "offsets must have one entry for each of the 2 names"),
        ({"offsets": "zero"}, "offsets must be a list"),
        ({"offsets": [0.0, "1"]}, "offsets must be finite numbers"),
        ({"absolute": 1}, "absolute must be true or false, got 1"),
    ],
)
def test_bad_offsets_are_refused(changes, message):
    with pytest.raises(WorldModelError, match=message):
        ActionSpec.from_json(SHIFTED.to_json() | changes)
    with pytest.raises(WorldModelError, match="offsets must be finite"):
        replace(SPEC, offsets=(0.0, float("nan")))


def test_what_differs_in_offsets_is_shown():
    with pytest.raises(SpecMismatchError) as caught:
        require_same(SPEC, replace(SPEC, offsets=(0.0, 1.0)))
    assert r"offsets: model [0.0, 0.0], env [0.0, 1.0]" in str(caught.value)
    with pytest.raises(SpecMismatchError, match="absolute: model False, env True"):
        require_same(SPEC, replace(SPEC, absolute=True))
