"""Options and files that no command can use: one line that helps, status 2."""

import pytest

from tests.data.synthetic import dataset_spec, episode
from worldmodel.checkpoints.outline import TooLargeError, require_trainable
from worldmodel.commands.devices import choose_device
from worldmodel.commands.main import main
from worldmodel.commands.training import open_frames
from worldmodel.data import DatasetWriter, LeRobotDataset, cache_place
from worldmodel.encoders import VideoViT, VideoViTSpec
from worldmodel.errors import OptionError
from worldmodel.training.objectives.video_jepa import VideoJEPASpec
from worldmodel.training.tabletop_encoder import TabletopEncoderRecipe


@pytest.fixture
def refused(capsys, tmp_path, monkeypatch):
    """Runs a command in an empty folder; gives its one line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("worldmodel.commands.main.select_backend", lambda: "egl")

    def run(words):
        assert main(words.split()) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert list(tmp_path.iterdir()) == [], "a refused command leaves nothing"
        return line.removeprefix("error: ")

    return run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("collect out=a episodes=0", "episodes must be a whole number in [1, 1000000]"),
        ("collect out=a episodes=1.5", "episodes must be a whole number like 6000"),
        ("collect out=a episodes=null", "episodes must be a number like 6000"),
        ("collect out=a steps=0", "steps must be a whole number in [1, 10000], got 0"),
        ("collect out=a seed=-1", "seed must be a whole number in [0, "),
        ("collect out=a seed=1e30", "seed must be a whole number like 0, got 1e+30"),
        ("collect out=a workers=0", "workers must be a whole number in [1, 256]"),
        ("collect out=a workers=-1", "workers must be a whole number in [1, 256]"),
        ("collect out=a workers=1.5", "workers must be a whole number like 2, got 1.5"),
        ("collect out=a mix={}", "mix must name what shall differ"),
        ("collect out=a mix=null", "mix must be a mapping of noise, sweep, push, pick"),
        ("collect out=a mix={dance:1}", "unknown option 'mix.dance'"),
        ("collect out=a mix.noise=inf", "mix.noise must be a finite number, got inf"),
        ("collect out=a mix.noise=-1", "mix: noise must be in [0, 1e+09], got -1"),
        ("collect out=", "out must name a folder, got ''"),
        ("practice out=a goals=b episodes=0", "episodes must be a whole number in"),
        ("practice out=a goals=b workers=0", "workers must be a whole number in"),
        ("plan task=push model=null", "model must be a text like reference, got null"),
        ("plan task=push device=meta", "device must be auto, cpu, cuda, mps, or one"),
        ("plan task=push planner._target_=planners.Nope", "unknown option 'planner._"),
        ("plan task=push horizon=10000000", "horizon must be in [1, 1000]"),
        ("plan task=push planner.samples=1000000000", "samples must be in [2, 10000"),
        ("plan task=push penalties.smoothness=inf", "smoothness must be a finite"),
        (
            "plan task=push planner.samples=100000 horizon=100",
            "candidates x horizon must be at most 1000000, got 100000 x 100",
        ),
        ("demo tasks=null", "tasks must be a list like "),
        ("demo tasks=[null]", "unknown task 'None'"),
        ("doctor frames=nan", "frames must be a finite number, got nan"),
        ("doctor frames=0", "frames must be a whole number in [1, 10000], got 0"),
        ("convert model= out=b", "model must name a folder, got ''"),
    ],
)
def test_an_option_is_refused_with_what_is_allowed(refused, words, message):
    assert message in refused(words)


@pytest.mark.parametrize("name", ["meta", "tpu", "cpu:99", "cuda:x", "", "cuda:999"])
def test_a_device_that_computes_nothing_is_refused(name):
    with pytest.raises(OptionError, match="device"):
        choose_device(name)


@pytest.mark.parametrize("content", ["a: [", "- 1", "\tx: 1"])
def test_a_damaged_config_of_a_run_is_named(content, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("worldmodel.commands.main.select_backend", lambda: "egl")
    with DatasetWriter(tmp_path / "play", dataset_spec()) as writer:
        writer.add(0, episode(0))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(content)
    words = ["pretrain", f"data={tmp_path / 'play'}", f"out={tmp_path / 'run'}"]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "config.yaml is damaged" in line
    assert "delete it, or choose another out=" in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"momentum": 2.0}, r"momentum must be in \[0, 1\], got 2.0"),
        ({"windows": 10**12}, r"windows must be in \[2, 100000\], got"),
    ],
)
def test_a_recipe_that_trains_nothing_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        TabletopEncoderRecipe(VideoJEPASpec(), None, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 10**9}, "a module of more than 20000 tensors; take smaller sizes"),
        ({"dim": 2**14, "heads": 4}, "at most 1,000,000,000 are trained"),
    ],
)
def test_a_training_that_fits_no_machine_is_refused_at_once(change, message):
    spec = VideoViTSpec(**change)
    with pytest.raises(TooLargeError, match=message):
        require_trainable(lambda: VideoViT(spec))


def test_a_read_only_dataset_is_read_and_says_where_its_cache_is(
    tmp_path, monkeypatch, capsys
):
    play = tmp_path / "play"
    with DatasetWriter(play, dataset_spec()) as writer:
        writer.add(0, episode(0))
    attempt = cache_place._try_to_write

    def refuse(folder):
        if folder.is_relative_to(play):
            raise PermissionError(13, "Permission denied", str(folder))
        attempt(folder)

    monkeypatch.setattr(cache_place, "_try_to_write", refuse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    frames = open_frames(str(play))
    assert frames.path.is_relative_to(tmp_path / "home" / "worldmodel")
    assert "cannot be written: its decoded frames are in" in capsys.readouterr().err
    assert not (play / ".cache").exists()
    chosen = open_frames(str(play), str(tmp_path / "chosen"))
    assert chosen.path.is_relative_to(tmp_path / "chosen")
    assert capsys.readouterr().err == ""
    assert chosen.fingerprint == LeRobotDataset.open(play).fingerprint()
