import pytest

from tests.commands.tiny import QUICK, save_tiny_model
from worldmodel.commands.main import main


@pytest.mark.usefixtures("short")
def test_every_episode_is_told_and_filmed(tmp_path, capsys):
    model = save_tiny_model(tmp_path / "tiny")
    out = tmp_path / "run"
    words = [f"model={model}", "tasks=[reach]", "n=2", f"out={out}", *QUICK]
    assert main(["demo", *words]) == 0
    shown = capsys.readouterr().out
    assert "Reach 0: failed" in shown
    assert "Reach 1: failed" in shown
    assert f"0 of 2 solved; the films (mp4 and GIF) are in {out}" in shown
    films = sorted(path.name for path in out.glob("reach_*"))
    assert films == [
        f"reach_{index:03d}_failure.{kind}"
        for index in (0, 1)
        for kind in ("gif", "mp4")
    ]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("n=0", "n must be in [1, 16], got 0"),
        ("tasks=[]", "tasks must name at least 1 task"),
        ("tasks=[fold]", "unknown task 'fold'"),
        (
            "model=nowhere",
            "no checkpoint 'nowhere': neither a folder nor a shipped name",
        ),
    ],
)
def test_bad_input_is_one_line(option, message, tmp_path, capsys):
    assert main(["demo", option, f"out={tmp_path / 'run'}"]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "run").exists()
