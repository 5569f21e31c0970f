import dataclasses

import pytest

from tests.evaluation.fakes import protocol, row
from worldmodel.evaluation.protocol import ProtocolMismatch
from worldmodel.evaluation.results import RESULTS_VERSION, Results
from worldmodel.evaluation.tables import compare, paired_table, report, table
from worldmodel.hardware import hardware

FLOOR = row([False] * 9 + [True], "random", "floor")
GOOD = row([True] * 8 + [False] * 2, "CEM")
WORSE = row([True] * 3 + [False] * 6 + [True], "MPPI")


def cells(text: str, method: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if f"| {method}" in line]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_has_its_floor_interval_and_milliseconds():
    assert cells(table([FLOOR, GOOD]), "CEM") == [
        "Point",
        "CEM",
        "80.0%",
        "49.0 to 94.3",
        "10",
        "10.0%",
        "80.0%",
        "1.0",
        "12.5",
        "20.2",
        "50 / 130",
        "a",
    ]


def test_a_table_names_its_protocol_and_machine():
    text = table([FLOOR, GOOD])
    assert f"protocol standard {GOOD.protocol.hash}, 2 steps" in text
    assert "a: a test machine" in text


def test_a_ceiling_is_marked():
    ceiling = row([True] * 10, "simulator", "ceiling")
    assert "| simulator (ceiling) | 100.0% |" in table([FLOOR, ceiling])


def test_a_table_without_a_floor_is_refused():
    with pytest.raises(ValueError, match="no floor for Point under protocol 'stand"):
        table([GOOD])


def test_rows_of_different_protocols_are_never_mixed():
    longer = dataclasses.replace(GOOD.protocol, budget=99)
    with pytest.raises(ProtocolMismatch, match="differ in budget 2 and 99"):
        table([FLOOR, GOOD, dataclasses.replace(GOOD, protocol=longer)])
    named = dataclasses.replace(GOOD.protocol, name="ceiling")
    with pytest.raises(ProtocolMismatch, match="'standard' on 'validation' and 'ceil"):
        table([FLOOR, GOOD, dataclasses.replace(GOOD, protocol=named)])


def test_rows_of_different_problems_are_never_mixed():
    other = dataclasses.replace(WORSE, problems="another set")
    with pytest.raises(ProtocolMismatch, match="one set and another set"):
        table([FLOOR, GOOD, other])
    with pytest.raises(ProtocolMismatch, match="meet on the same problems"):
        compare(GOOD, other)


def test_a_comparison_counts_discordant_problems():
    pair = compare(GOOD, WORSE)
    assert (pair.only_first, pair.only_second) == (5, 1)
    assert pair.p_value == pytest.approx(2 * 7 / 64)
    assert cells(paired_table([FLOOR, GOOD, WORSE]), "Point")[1:] == [
        "CEM − MPPI",
        "+40.0",
        "10",
        "5",
        "1",
        "0.22",
    ]


def test_a_report_has_one_section_per_protocol_and_a_row_per_task():
    rules = protocol(10, task="Push")
    push = [
        row([False] * 10, "random", "floor", rules),
        row([True] * 10, "CEM", "method", rules),
    ]
    small = protocol(2, name="ceiling")
    ceilings = [
        row([False, False], "random", "floor", small),
        row([True, True], "simulator", "ceiling", small),
    ]
    first, second = (
        Results(RESULTS_VERSION, "now", hardware(), "egl", {}, tuple(rows))
        for rows in ([FLOOR, GOOD, *ceilings], push)
    )
    text = report([first, second])
    standard, ceiling = text.split("## ceiling, validation problems")
    assert standard.startswith("## standard, validation problems")
    assert "| Push | CEM | 100.0% |" in standard
    assert "| Point | CEM | 80.0% |" in standard
    assert "simulator (ceiling)" in ceiling


def test_a_report_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least 1 row of results, got 0"):
        report([])
