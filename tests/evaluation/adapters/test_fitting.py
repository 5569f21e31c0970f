from dataclasses import replace

import numpy as np
import pytest
from gymnasium import spaces

from tests.evaluation.adapters.fakes import SPEC, Cart, CartAdapter
from worldmodel.errors import SpecMismatchError, WorldModelError
from worldmodel.evaluation.adapters.fitting import env_spec, require_fits


class Told(CartAdapter):
    names = ("force", "brake")
    units = ("N", "N")
    absolute = False


def test_the_env_tells_range_rate_and_names():
    spec = env_spec(Told(Cart()))
    assert spec == replace(SPEC, offsets=(5.0, 0.0))
    assert env_spec(CartAdapter(Cart())).names == ("action_0", "action_1")


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        replace(SPEC, block=4),
        replace(SPEC, names=("motor_0", "motor_1"), units=("unknown",) * 2),
        replace(SPEC, scales=(2.0, 0.5), offsets=(3.0, 0.1)),
    ],
)
def test_what_nothing_contradicts_fits(spec):
    require_fits("model", spec, Told(Cart()), "Cart-v0")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            replace(SPEC, names=("brake", "force")),
            "order .'brake', 'force'., the",
        ),
        (replace(SPEC, units=("N", "kN")), "brake in kN, the env's is in N"),
        (replace(SPEC, rate_hz=20.0), "20 Hz, the env has 10 Hz"),
        (replace(SPEC, absolute=True), "absolute actions, the env's are relative"),
        (
            replace(SPEC, scales=(9.0, 1.0)),
            r"force in \[-4, 14\], the env takes",
        ),
        (
            replace(
                SPEC,
                names=("a",),
                units=("N",),
                scales=(1.0,),
                frames=("unknown",),
                offsets=(0.0,),
            ),
            "1 dimensions, the env takes 2",
        ),
    ],
)
def test_a_contradiction_is_one_line_that_shows_both(spec, message):
    with pytest.raises(SpecMismatchError, match=message) as caught:
        require_fits("dataset", spec, Told(Cart()), "Cart-v0")
    text = str(caught.value)
    assert "\n" not in text
    assert f"dataset: {spec.to_json()}, env: {env_spec(Told(Cart())).to_json()}" in text


def test_what_an_env_declares_has_to_be_the_same():
    cart = Cart()
    cart.metadata = {**cart.metadata, "action_spec": SPEC.to_json()}
    require_fits("model", replace(SPEC, block=3), CartAdapter(cart), "Cart-v0")
    with pytest.raises(SpecMismatchError, match="its env declares others"):
        require_fits("model", replace(SPEC, rate_hz=9), CartAdapter(cart), "Cart-v0")


def test_an_env_without_bounds_takes_any_range():
    cart = Cart()
    cart.action_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    require_fits("model", replace(SPEC, scales=(1e9, 1.0)), CartAdapter(cart), "Cart")


def test_discrete_actions_are_refused():
    cart = Cart()
    cart.action_space = spaces.Discrete(3)  # type: ignore[assignment]
    with pytest.raises(WorldModelError, match="must be a Box of one dimension"):
        require_fits("model", SPEC, CartAdapter(cart), "Cart")
