"""From two pictures and a state to commands, on a tiny random model."""

import numpy as np
import pytest
import torch
from PIL import Image

from examples.vjepa2_ac_plan import main


def test_pictures_and_a_state_become_commands(tmp_path, capsys):
    generator = np.random.default_rng(0)
    for name, shape in (("now", (40, 60, 3)), ("goal", (50, 50, 3))):
        pixels = generator.integers(0, 256, shape, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    given = ["--now", str(tmp_path / "now.png"), "--goal", str(tmp_path / "goal.png")]
    commands = main([*given, "--samples", "20", "--l1-ball"])
    assert commands.shape == (2, 7)
    assert commands[:, :3].abs().sum(-1).max() <= 0.075 + 1e-6
    assert not commands[:, 3:6].any()
    assert "step 1: " in capsys.readouterr().out
    again = main([*given, "--samples", "20", "--l1-ball"])
    assert torch.equal(again, commands)


def test_nothing_has_to_be_given(capsys):
    commands = main(["--samples", "12", "--horizon", "1"])
    assert commands.shape == (1, 7)
    assert commands[:, :3].abs().max() <= 0.075 + 1e-6
    assert capsys.readouterr().out


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere.pt"):
        main(["--weights", str(tmp_path / "nowhere.pt")])
