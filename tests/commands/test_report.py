import pytest

from tests.evaluation.fakes import protocol, row
from worldmodel.commands.bench import Place
from worldmodel.commands.main import main
from worldmodel.evaluation.results import save_results
from worldmodel.hardware import hardware


@pytest.fixture
def save(tmp_path):
    """Saves rows as results and gives the file's path."""

    def write(name, rows):
        path = tmp_path / name / "results.json"
        save_results(Place(hardware(), "a test backend").results(rows), path)
        return path

    return write


FLOOR = row([False, False], "random actions", "floor")


def test_methods_of_two_runs_meet_in_one_table_with_one_floor(save, tmp_path, capsys):
    first = save("a", [FLOOR, row([True, False], "CEM")])
    second = save("b", [FLOOR, row([True, True], "MPPI")])
    out = tmp_path / "table.md"
    words = ["report", f"results=[{first},{second.parent}]", f"out={out}"]
    assert main(words) == 0
    text = out.read_text()
    assert text in capsys.readouterr().out
    assert text.count("random actions") == 1
    assert "| Point | CEM − MPPI | -50.0 |" in text


def test_one_file_needs_no_list(save, capsys):
    assert main(["report", f"results={save('a', [FLOOR])}"]) == 0
    assert "| Point | random actions (floor) |" in capsys.readouterr().out


def test_protocols_that_differ_are_not_mixed(save, capsys):
    first = save("a", [FLOOR, row([True, False])])
    rules = protocol(3)
    other = [row([False] * 3, "random actions", "floor", rules)]
    second = save("b", [*other, row([True] * 3, rules=rules)])
    assert main(["report", f"results=[{first},{second}]"]) == 2
    shown = capsys.readouterr()
    assert "results of different protocols cannot be mixed" in shown.err
    assert "n 2 and 3" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("results=nowhere.json", "no results at nowhere.json"),
        ("results=[]", "results must be one file or a list of them"),
        ("results=3", "results must be one file or a list of them"),
    ],
)
def test_bad_input_is_one_line(option, message, capsys):
    assert main(["report", option]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
