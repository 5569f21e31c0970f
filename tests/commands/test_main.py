import os
import subprocess
import sys
from types import ModuleType

import pytest

from envs.graphics import NoGraphicsError
from worldmodel.commands import main as console
from worldmodel.commands.main import COMMANDS, main


@pytest.fixture
def fake(monkeypatch):
    """Makes `doctor` run a function of the test."""

    def install(run):
        module = ModuleType("fake", "Does what the test says.")
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setattr(console, "_module", lambda name: module)

    return install


def raising(error):
    def run(config):
        raise error

    return run


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_the_overview_lists_every_command(words, capsys):
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name, capsys):
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"worldmodel {name}" in shown.split("example:")[1]
    assert "options:" in shown


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("worldmodel 0.")


def test_an_unknown_command_lists_the_known(capsys):
    assert main(["doctr"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: unknown command 'doctr', known are: ")
    assert "doctor" in message


@pytest.mark.parametrize(
    "error",
    [ValueError("bad"), FileNotFoundError("bad"), NoGraphicsError("bad")],
)
def test_what_can_be_mended_is_one_line(error, fake, capsys):
    fake(raising(error))
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err == "error: bad\n"


def test_traceback_shows_where_it_came_from(fake):
    fake(raising(ValueError("bad")))
    with pytest.raises(ValueError, match="bad"):
        main(["doctor", "--traceback"])


def test_our_own_mistakes_are_not_hidden(fake):
    fake(raising(AssertionError("ours")))
    with pytest.raises(AssertionError, match="ours"):
        main(["doctor"])


def test_an_interruption_is_quiet(fake, capsys):
    fake(raising(KeyboardInterrupt()))
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize(("result", "status"), [(None, 0), (0, 0), (1, 1)])
def test_the_status_is_what_the_command_gives(result, status, fake):
    fake(lambda config: result)
    assert main(["doctor"]) == status


def test_options_reach_the_command(fake):
    seen = []
    fake(seen.append)
    main(["doctor", "frames=7"])
    assert seen[0].frames == 7


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--version"], 0, ""),
        (["demo"], 2, "error: no GL backend renders (nonsense: "),
    ],
)
def test_a_gl_setting_that_renders_nothing_is_one_line(words, status, message):
    done = subprocess.run(
        [sys.executable, "-m", "worldmodel.commands.main", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "MUJOCO_GL": "nonsense"},
    )
    assert done.returncode == status
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == len(message[:1])


def test_the_program_ends_with_one_line_and_status_2():
    done = subprocess.run(
        [sys.executable, "-m", "worldmodel", "doctor", "speed=1"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: unknown option 'speed', known are: ")
    assert done.stderr.count("\n") == 1


def test_python_m_worldmodel_is_the_console_script():
    done = subprocess.run(
        [sys.executable, "-m", "worldmodel", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "worldmodel <command> [key=value …]" in done.stdout
