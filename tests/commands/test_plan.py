import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.commands.tiny import QUICK, SIDE, save_tiny_model
from worldmodel.commands.main import main
from worldmodel.commands.pictures import read_picture, write_picture

pytestmark = pytest.mark.usefixtures("short")


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    model = save_tiny_model(tmp_path_factory.mktemp("model") / "tiny")
    return ["plan", f"model={model}", "task=reach", *QUICK]


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_the_goal_that_a_plan_saves_can_be_given_back(words, tmp_path, capsys):
    first, second = tmp_path / "a", tmp_path / "b"
    assert main([*words, f"out={first}"]) == 0
    own = json.loads((first / "plan.json").read_text())
    assert "not solved" in capsys.readouterr().out
    assert own["measured"]["final_distance"] > 0.02
    assert np.shape(own["actions"]) == (4, 5)
    assert len(own["costs"]) == 4
    assert sorted(path.name for path in first.iterdir()) == [
        ".lock",
        "README.md",
        "config.yaml",
        "final.png",
        "goal.png",
        "plan.gif",
        "plan.json",
        "plan.mp4",
    ]
    assert main([*words, f"goal={first / 'goal.png'}", f"out={second}"]) == 0
    given = json.loads((second / "plan.json").read_text())
    assert given["actions"] == own["actions"]
    assert given["measured"] is None
    assert "does not tell the true distance" in capsys.readouterr().out


def test_another_goal_gives_another_plan(words, tmp_path):
    write_picture(noise(SIDE, SIDE, 3), tmp_path / "noise.png")
    words = [*words, "planner.samples=32"]  # a few would rank alike for any goal
    assert main([*words, f"out={tmp_path / 'a'}"]) == 0
    goal = f"goal={tmp_path / 'noise.png'}"
    assert main([*words, goal, f"out={tmp_path / 'b'}"]) == 0
    plans = [json.loads((tmp_path / k / "plan.json").read_text()) for k in "ab"]
    assert plans[0]["actions"] != plans[1]["actions"]


def test_a_picture_comes_back_as_it_was_written(tmp_path):
    pixels = noise(6, 4, 3)
    write_picture(pixels, tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", 6, 4), pixels)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (noise(SIDE, 16, 3), "32x32 pixels for this model, got RGB and 16x32"),
        (noise(SIDE, SIDE, 4), "must be RGB with 8 bits .* got RGBA and 32x32"),
        (noise(SIDE, SIDE), "got L and 32x32"),
    ],
)
def test_a_picture_of_another_size_or_type_is_refused(pixels, message, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=message):
        read_picture(tmp_path / "a.png", SIDE, SIDE)


def test_a_picture_of_sixteen_bits_is_refused(tmp_path):
    rows = b"".join(b"\0" + bytes(6 * SIDE) for _ in range(SIDE))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, 2, 0, 0, 0)
    parts = [b"IHDR" + header, b"IDAT" + zlib.compress(rows), b"IEND"]
    chunks = [
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
        for part in parts
    ]
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    with pytest.raises(ValueError, match="got RGB with 16 bits and 32x32"):
        read_picture(tmp_path / "deep.png", SIDE, SIDE)


@pytest.mark.parametrize("length", [0, 7, 40, 1000])
def test_a_damaged_picture_is_refused(length, tmp_path):
    write_picture(noise(SIDE, SIDE, 3), tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[:length])
    with pytest.raises(ValueError, match="cut.png cannot be read as a picture"):
        read_picture(tmp_path / "cut.png", SIDE, SIDE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["goal=missing.png"], "no goal picture at missing.png"),
        (["goal=."], "no goal picture at ."),
        (["task=fold"], "unknown task 'fold'; known tasks: Reach, Push, PickPlace"),
        (["task=3"], "unknown task '3'; known tasks: Reach, Push, PickPlace"),
        (["seed=-1"], "seed must be a whole number in [0, 30000000), got -1"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    options, message, words, tmp_path, capsys
):
    assert main([*words, *options, f"out={tmp_path / 'run'}"]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
    assert not (tmp_path / "run").exists()
