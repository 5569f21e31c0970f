from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from omegaconf import ReadonlyConfigError

from worldmodel.commands import compose
from worldmodel.commands.compose import compose_config
from worldmodel.commands.instantiate import instantiate
from worldmodel.errors import OptionError


@dataclass(frozen=True)
class Shooter:
    """A stand-in for a planner."""

    samples: int
    spread: float = 1.0
    label: str | None = None
    elites: int = 2
    width: float | Sequence[float] = 1.0

    def __post_init__(self):
        if not 2 <= self.elites <= self.samples:
            raise ValueError(
                f"elites must be in [2, samples={self.samples}], got {self.elites}"
            )


@dataclass(frozen=True)
class Walker:
    """A stand-in for another planner."""

    steps: int = 3


ROOT = """
defaults:
  - _self_
  - planner: shooter
task: ???
out: null
seeds: [1, 2]
count: 5
"""


SHOOTER = "samples: 10\nwidth: 2\n"


@pytest.fixture(autouse=True)
def configs(tmp_path, monkeypatch):
    files = {
        "drive.yaml": ROOT,
        "planner/shooter.yaml": f"_target_: {__name__}.Shooter\n{SHOOTER}",
        "planner/walker.yaml": f"_target_: {__name__}.Walker\n",
        "broken.yaml": "a: ${nothing}\n",
        "fly.yaml": "defaults:\n  - _self_\n  - fly/way: low\nheight: 1\nspeed: 2\n",
        "fly/way/low.yaml": "# @package _global_\nspeed: 3\n",
        "fly/way/high.yaml": "# @package _global_\nheight: 9\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(compose, "configs_folder", lambda: tmp_path)


def test_options_change_values():
    config = compose_config("drive", ["task=push", "planner.samples=20", "seeds=[3]"])
    assert (config.task, config.planner.samples, config.seeds) == ("push", 20, [3])
    assert instantiate(config.planner) == Shooter(samples=20, width=2)


@pytest.mark.parametrize("name", ["2024", "1.50", "007"])
def test_a_path_is_a_text_whatever_it_looks_like(name):
    assert compose_config("drive", ["task=push", f"out={name}"]).out == name


def test_a_group_choice_changes_the_object():
    config = compose_config("drive", ["planner=walker", "planner.steps=4", "task=x"])
    assert instantiate(config.planner) == Walker(steps=4)


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ([], (1, 3)),
        (["way=high"], (9, 2)),
        (["speed=5", "way=high"], (9, 5)),
        (["way=low", "way=high"], (9, 2)),
    ],
)
def test_a_group_of_one_command_is_called_by_its_name_alone(options, values):
    config = compose_config("fly", options)
    assert (config.height, config.speed) == values


def test_an_unknown_choice_of_such_a_group_lists_the_known():
    with pytest.raises(OptionError, match="unknown way 'up', known are: high, low"):
        compose_config("fly", ["way=up"])
    with pytest.raises(OptionError, match="unknown option 'way'"):
        compose_config("drive", ["task=x", "way=low"])


def test_a_field_that_the_yaml_leaves_out_can_be_given():
    config = compose_config("drive", ["task=push", "planner.elites=5"])
    assert instantiate(config.planner) == Shooter(samples=10, elites=5, width=2)


@pytest.mark.parametrize(
    "name", ["a cup (1), it's.png", "C:\\a (b)\\", "x=y {z}", "(it\\'s)\\\\'"]
)
def test_a_text_may_hold_any_character(name):
    assert compose_config("drive", [f"task={name}"]).task == name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "worldmodel drive also needs: task=…"),
        (["task=push", "cuont=3"], "unknown option 'cuont', did you mean count?"),
        (["task=x", "planner.sample=3"], "did you mean planner.samples?"),
        (["task=x", "planner.sample=3"], "planner.elites, planner.label"),
        (["task=x", "planer.samples=3"], "unknown option 'planer.samples'"),
        (["task=x", "count.x=3"], "unknown option 'count.x'"),
        (["task=x", "planner=cme"], "unknown planner 'cme', known are: shooter, wal"),
        (["task=x", "planner=walker", "planner.samples=3"], "planner.steps"),
        (["task=x", "count=many"], "count must be a number like 5, got many"),
        (["task=x", "seeds=1"], "seeds must be a list"),
        (["task=x", "+speed=1"], "options are key=value"),
        (["task=a,b"], "options are key=value, one value, got 'task=a,b'"),
        (["task=x", "~count"], "options are key=value"),
        (["task=x", "count"], "options are key=value"),
        (["task=null"], "task must be given, got null"),
        (["task=x", "count=null"], "count must be a number like 5, got null"),
        (["task=x", "seeds=null"], "seeds must be a list like [1, 2], got null"),
        (["task=x", "planner.samples=nan"], "samples must be a finite number, got nan"),
        (["task=x", "planner.spread=-inf"], "spread must be a finite number, got -inf"),
        (["task=x", "planner.width=[1.0,inf]"], "width must be a finite number"),
        (["task=x", "count=1.5"], "count must be a whole number like 5, got 1.5"),
        (["task=x", "count=1e30"], "count must be a whole number like 5, got 1e+30"),
        (["task=x", f"count={10**30}"], f"count must be in [{-(2**63 - 1)}, "),
        (["task=x", "seeds={a:1}"], "seeds must be a list like [1, 2], got {'a': 1}"),
        (["task=x", "planner={}"], "unknown planner"),
        (["task=x", "planner._target_=os.system"], "unknown option 'planner._target_'"),
        (["task=x", "seeds=[{_target_:a}]"], "seeds._target_ is no option"),
    ],
)
def test_a_bad_option_is_an_error_that_helps(options, message):
    with pytest.raises(OptionError) as caught:
        compose_config("drive", options)
    assert message in str(caught.value)


def test_an_interpolation_to_nothing_is_named():
    with pytest.raises(OptionError, match="nothing"):
        compose_config("broken", [])


def test_the_config_is_read_only():
    config = compose_config("drive", ["task=push"])
    with pytest.raises(ReadonlyConfigError):
        config.count = 6


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("planner.elites=30", "planner: elites must be in [2, samples=10], got 30"),
        ("planner.elites=2.5", "planner.elites must be int, got 2.5"),
        ("planner.elites=many", "planner.elites must be int, got 'many'"),
        ("planner.spread=wide", "planner.spread must be float, got 'wide'"),
        ("planner.label=3", "planner.label must be str or NoneType, got 3"),
    ],
)
def test_what_an_object_refuses_names_the_option(option, message):
    config = compose_config("drive", ["task=push", option])
    with pytest.raises(OptionError) as caught:
        instantiate(config.planner)
    assert str(caught.value) == message


def test_whole_numbers_are_good_floats_and_null_where_allowed():
    options = ["task=push", "planner.spread=2", "planner.label=null"]
    assert instantiate(compose_config("drive", options).planner).spread == 2


def test_a_number_for_each_action_is_taken_where_the_planner_takes_it():
    options = ["task=push", "planner.width=[0.1,0.2]"]
    assert instantiate(compose_config("drive", options).planner).width == [0.1, 0.2]
    with pytest.raises(OptionError, match="planner.samples must be a number like 10"):
        compose_config("drive", ["task=push", "planner.samples=[1,2]"])
