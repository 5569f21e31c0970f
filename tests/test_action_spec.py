import json
from dataclasses import replace

import pytest

from worldmodel.action_spec import ActionSpec, require_same
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
