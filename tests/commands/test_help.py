import pytest

from worldmodel.commands.help import attributes, comments, option_rows, unexplained
from worldmodel.commands.main import COMMANDS

YAML = """# @package _global_
# The task,
# whichever.
task: push  # not this
# Nobody's.

out: null
# How.
planner:
  # Many.
  samples: 3
  deep:
    elites: 2
seed: 1
"""


class Thing:
    """Does it.

    Attributes:
        samples: how many
            there are.
        rate: how fast: in Hz.

    More text: not an attribute.
    """


def test_comments_above_keys_are_found():
    assert comments(YAML) == {
        "task": "The task, whichever.",
        "planner": "How.",
        "planner.samples": "Many.",
    }


def test_attributes_of_a_docstring_are_found():
    assert Thing.__doc__ is not None
    told = attributes(Thing.__doc__)
    assert told == {"samples": "how many there are.", "rate": "how fast: in Hz."}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_an_explanation(command):
    assert unexplained(command) == []


def test_help_tells_option_default_and_explanation():
    rows = "\n".join(option_rows("evaluate"))
    assert "  split=test\n      Problems: validation while choosing, test once" in rows
    assert "  planner.samples=64\n      candidates per problem and iteration." in rows
    assert "LeWorldModel's CEM (Maes et al. 2026)" in rows
    assert rows.index("  task=all") < rows.index("  model=reference")
    assert max(map(len, rows.splitlines())) <= 88
