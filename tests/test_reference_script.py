"""`make reference`: each of its commands knows the options that it gets."""

import os
import subprocess
from pathlib import Path

import pytest

from worldmodel.commands.compose import compose_config

SCRIPT = Path(__file__).parent.parent / "tools" / "reference.sh"


def told(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the script with a command that only says what it was asked."""
    stub = folder / "worldmodel"
    stub.write_text('#!/bin/sh\necho "$@"\n')
    stub.chmod(0o755)
    return subprocess.run(
        ["bash", SCRIPT, *words],
        env={**os.environ, "WORLDMODEL": str(stub)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("recipe", "predictors"), [("tabletop", 1), ("plain", 3)])
def test_every_round_learns_from_all_practice_before_it(recipe, predictors, tmp_path):
    rounds = 2
    done = told(tmp_path, "runs/x", recipe)
    assert done.returncode == 0
    commands = [line.split() for line in done.stdout.splitlines()]
    configs = [
        (command, compose_config(command, given)) for command, *given in commands
    ]
    names = [command for command, _ in configs]
    assert names == ["collect", "pretrain", "train"] + ["practice", "train"] * rounds
    trained = [config for command, config in configs if command == "train"]
    practised = [config for command, config in configs if command == "practice"]
    assert [len(config.practice) for config in trained] == list(range(rounds + 1))
    assert list(trained[-1].practice) == [config.out for config in practised]
    assert len({config.rules.seed for config in practised}) == rounds
    for model, config in zip(trained, practised, strict=False):
        assert config.model == f"{model.out}/model"
    assert {config.planning.predictors for config in trained} == {predictors}
    first = f"{trained[0].out}/model" if recipe == "tabletop" else "encoder"
    assert {config.projector_from for config in trained[1:]} == {first}


def test_an_unknown_recipe_is_refused(tmp_path):
    done = told(tmp_path, "runs/x", "simple")
    assert done.returncode == 2
    assert "RECIPE must be tabletop or plain, got simple" in done.stderr
    assert not done.stdout
