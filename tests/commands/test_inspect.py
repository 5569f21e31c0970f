import re

import numpy as np
import pytest
from PIL import Image

from tests.data.lerobot_like import (
    CAMERA,
    DATA,
    REAL,
    VIDEO,
    Made,
    change,
    change_info,
    write,
)
from tests.data.synthetic import dataset_spec, episode
from worldmodel.commands.main import main
from worldmodel.data import DatasetWriter


@pytest.fixture
def told(capsys):
    """Runs the command; gives status and lines by topic."""

    def run(*options: str) -> tuple[int, dict[str, list[str]]]:
        status = main(["inspect", *options])
        lines: dict[str, list[str]] = {}
        for line in capsys.readouterr().out.splitlines():
            topic, text = re.split(r" {2,}", line, maxsplit=1)
            lines.setdefault(topic, []).append(text)
        return status, lines

    return run


def test_a_dataset_of_the_client_is_told(told, tmp_path):
    out = tmp_path / "sheet.png"
    status, lines = told(f"data={REAL / 'pusht_many_files'}", f"out={out}")
    assert status == 0
    assert lines["dataset"][0].endswith("LeRobot v3.0, robot: 2d pointer")
    assert lines["feature"] == [
        "observation.images.top: pictures of 96 x 96 (height x width) in video",
        "observation.state: float32 [2] in parquet: agent_x, agent_y",
        "action: float32 [2] in parquet: x, y",
        "success: bool [1] in parquet; not used",
    ]
    assert lines["holds"] == [
        "8 episodes, 2 to 64 frames each, 285 in all, 28.5 s at 10 frames/s"
    ]
    assert lines["tasks"] == ["'move about' in 4, 'push T' in 4"]
    assert lines["camera"][0].startswith("observation.images.top: frames of 96 x 96 ")
    assert lines["action"][0] == "x: [0, 500.603] (unknown) becomes [-1, 1]"
    assert lines["actions"] == [
        "taken to say where to be (absolute): they are in [0, 512]; "
        "absolute_actions=false says otherwise"
    ]
    assert lines["proprio"] == ["2 numbers: agent_x, agent_y"]
    assert "best at +0, as it should be" in lines["alignment"][0]
    assert lines["reading"][0].startswith("episode 0: 33 frames in ")
    assert lines["problems"] == ["none; pictures of 8 of 8 episodes read"]
    with Image.open(out) as sheet:
        assert sheet.width > 9 * 96


def test_features_are_told_before_a_camera_is_asked_for(capsys):
    assert main(["inspect", f"data={REAL / 'pusht_two_cameras'}"]) == 2
    shown = capsys.readouterr()
    assert "observation.images.wrist: pictures of 96 x 96" in shown.out
    assert "has 2 cameras, name one with camera=" in shown.err
    assert shown.err.count("\n") == 1


def test_cameras_side_by_side_are_told(told, tmp_path):
    out = tmp_path / "sheet.png"
    keys = ["observation.images.wrist", "observation.images.top"]
    data = f"data={REAL / 'pusht_two_cameras'}"
    status, lines = told(data, f"camera=[{','.join(keys)}]", f"out={out}")
    assert status == 0
    assert lines["camera"] == [
        f"{keys[0]}, {keys[1]} side by side: frames of 96 x 192 (height x width); "
        "pretrain and train resize them to the encoder's size"
    ]
    with Image.open(out) as sheet:
        assert sheet.width > 5 * 192


def test_every_damaged_episode_is_told(told, tmp_path):
    write(tmp_path, Made())
    change(tmp_path / DATA, "action", lambda v: [[np.nan, 0], *v[1:-1], [0, np.inf]])
    status, lines = told(f"data={tmp_path}")
    assert status == 1
    assert [text[:9] for text in lines["problem"]] == ["episode 0", "episode 2"]
    assert lines["problems"] == ["2; found in records and rows"]


def test_pictures_that_cannot_be_read_are_told(told, tmp_path):
    write(tmp_path, Made(codec="libx264"))
    film = (tmp_path / VIDEO).read_bytes()
    (tmp_path / VIDEO).write_bytes(film[: len(film) // 2])
    status, lines = told(f"data={tmp_path}", "episodes=0", f"out={tmp_path / 'a.png'}")
    assert status == 1
    assert len(lines["problem"]) == 3
    assert "episode 1: it is half-written or damaged" in lines["problem"][1]
    assert lines["problems"] == ["3; pictures of 3 of 3 episodes read"]
    assert not (tmp_path / "a.png").exists()


def test_actions_that_stand_late_are_warned_of(told, tmp_path):
    write(tmp_path, Made(lengths=(40, 40), state=2))
    actions = np.random.default_rng(0).normal(size=(80, 2))
    state = actions.cumsum(axis=0)  # row t has moved by the action of row t already
    change(tmp_path / DATA, "observation.state", lambda v: state.tolist())
    change(tmp_path / DATA, "action", lambda v: actions.tolist())
    status, lines = told(f"data={tmp_path}", "absolute_actions=false")
    assert status == 0
    assert "WARNING: best at -1, where 0 or +1 is expected" in lines["alignment"][0]
    assert "as absolute_actions= says" in lines["actions"][0]


def test_what_is_not_there_is_told(told, tmp_path):
    write(tmp_path, Made(state=0, fps=15))
    change_info(tmp_path, "fps", 60)
    depth = {"dtype": "image", "shape": [32, 48, 1]}
    change_info(tmp_path, "features/observation.depth", depth)
    status, lines = told(f"data={tmp_path}", "episodes=1")
    assert status == 0
    assert lines["proprio"] == ["none"]
    assert lines["alignment"] == ["not told: there is no proprio"]
    assert "says 60 frames/s, timestamps say 15" in lines["note"][0]
    assert "no RGB pictures, shape [32, 48, 1]" in lines["feature"][-1]
    assert lines["problems"] == ["none; pictures of 1 of 3 episodes read"]


def test_our_own_dataset_is_told(told, tmp_path):
    with DatasetWriter(tmp_path / "play", dataset_spec()) as writer:
        writer.add(0, episode(0))
    status, lines = told(f"data={tmp_path / 'play'}", f"out={tmp_path / 'a.png'}")
    assert status == 0
    assert lines["action"][0] == "dx: [-0.05, 0.05] (m) becomes [-1, 1]"
    assert lines["actions"][0].endswith("(relative), as the dataset tells")
    assert (tmp_path / "a.png").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["data=nowhere"], "no dataset at nowhere"),
        ([f"data={REAL / 'pusht_video'}", "episodes=-1"], "episodes must be a whole"),
        ([f"data={REAL / 'pusht_video'}", "camera=left"], "unknown camera 'left' in"),
        ([f"data={REAL / 'pusht_video'}", "absolute_actions=3"], "must be true, false"),
        (["data="], "data must name a folder"),
    ],
)
def test_what_cannot_be_inspected_is_one_line(options, message, capsys):
    assert main(["inspect", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_camera_of_the_first_axis_is_told(told, tmp_path):
    write(tmp_path, Made())
    change_info(tmp_path, f"features/{CAMERA}/shape", [3, 32, 48])
    status, lines = told(f"data={tmp_path}")
    assert status == 0
    assert "pictures of 32 x 48 (height x width)" in lines["feature"][0]
