import pytest

from worldmodel.data import DatasetError, SplitRule


def test_every_block_of_twenty_has_one_validation_and_one_test_episode() -> None:
    rule = SplitRule()
    for first in range(0, 200, 20):
        names = [rule.split_of(i) for i in range(first, first + 20)]
        assert (names.count("validation"), names.count("test")) == (1, 1)


def test_a_split_is_for_ever() -> None:
    # Figures were published on these episodes: they must never change their split.
    rule = SplitRule()
    held_out = {i: rule.split_of(i) for i in range(60) if rule.split_of(i) != "train"}
    assert held_out == {
        6: "test",
        18: "validation",
        23: "test",
        29: "validation",
        47: "validation",
        55: "test",
    }


def test_the_shares_are_the_rules() -> None:
    rule = SplitRule(block=10, validation=2, test=3)
    names = [rule.split_of(i) for i in range(1000)]
    assert (names.count("validation"), names.count("test")) == (200, 300)


def test_a_rule_leaves_something_to_train_on() -> None:
    with pytest.raises(DatasetError, match="below block=4, got 2 \\+ 2"):
        SplitRule(block=4, validation=2, test=2)
