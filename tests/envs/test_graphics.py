import os
import subprocess
import sys

import mujoco
import numpy as np
import pytest

from envs import graphics
from envs.graphics import BackendReport, NoGraphicsError
from envs.render_probe import SIDE, shows_the_ball

BALL = """<mujoco><worldbody><light pos="0 -2 3" dir="0 2 -3"/>
<geom type="sphere" size=".3" rgba="0 1 0 1"/>
<camera name="front" pos="0 -1.5 0" xyaxes="1 0 0 0 0 1"/></worldbody></mujoco>"""


@pytest.fixture
def fresh(monkeypatch):
    """A process in which nothing was selected yet, and nothing is touched for good."""
    graphics.select_backend.cache_clear()
    monkeypatch.delenv(graphics.PROVEN, raising=False)
    monkeypatch.delenv(graphics.SETTING, raising=False)
    # A made-up choice must not make the loaded mujoco switch for real.
    loaded = "mujoco.rendering.classic.gl_context"
    monkeypatch.delitem(sys.modules, loaded, raising=False)
    yield monkeypatch
    graphics.select_backend.cache_clear()


def reports(working):
    """Gives a stand-in for `probe` and the list of what it was asked."""
    asked = []

    def probe(backend, frames=10, timeout_s=30.0):
        asked.append(backend)
        return BackendReport(backend, "" if backend in working else "no library")

    return probe, asked


def test_the_backend_in_use_is_probed_as_working():
    report = graphics.probe(graphics.select_backend(), frames=2)
    assert report.works
    assert report.driver
    assert report.frames_per_s > 1


def test_a_renderer_shows_what_stands_there():
    model = mujoco.MjModel.from_xml_string(BALL)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with graphics.make_renderer(model, height=32, width=48) as renderer:
        renderer.update_scene(data, camera="front")
        pixels = renderer.render()
    assert pixels.shape == (32, 48, 3)
    middle = pixels[16, 24].astype(int)
    assert middle[1] > 2 * max(middle[0], middle[2]) + 20


def test_a_backend_that_cannot_be_is_a_report_with_the_reason():
    report = graphics.probe("nonsense")
    assert not report.works
    assert "nonsense" in report.problem


def test_a_hanging_driver_is_given_up():
    report = graphics.probe("egl", timeout_s=0.05)
    assert report.problem == "no picture within 0.05 s"


def test_a_black_picture_is_not_right():
    assert not shows_the_ball(np.zeros((SIDE, SIDE, 3), np.uint8))
    assert not shows_the_ball(np.full((SIDE, SIDE, 3), (255, 0, 0), np.uint8))


def test_software_drivers_are_told_from_gpus():
    assert BackendReport("egl", "", "llvmpipe (LLVM 15.0.6, 256 bits)").is_software
    assert not BackendReport("egl", "", "NVIDIA H200/PCIe/SSE2").is_software


def test_the_first_backend_that_renders_is_selected(fresh):
    probe, asked = reports({"osmesa"})
    fresh.setattr(graphics, "probe", probe)
    fresh.setattr(graphics, "candidates", lambda: ("egl", "osmesa", "glfw"))
    assert graphics.select_backend() == "osmesa"
    assert asked == ["egl", "osmesa"]
    assert os.environ["MUJOCO_GL"] == "osmesa"
    assert graphics.select_backend() == "osmesa"
    assert len(asked) == 2


def test_the_setting_of_the_user_is_kept(fresh):
    probe, asked = reports({"egl", "osmesa"})
    fresh.setattr(graphics, "probe", probe)
    fresh.setenv("MUJOCO_GL", "osmesa")
    assert graphics.select_backend() == "osmesa"
    assert asked == ["osmesa"]


def test_a_setting_that_does_not_render_is_an_error_that_names_it(fresh):
    fresh.setattr(graphics, "probe", reports({"egl"})[0])
    fresh.setenv("MUJOCO_GL", "osmesa")
    with pytest.raises(NoGraphicsError, match="unset MUJOCO_GL=osmesa"):
        graphics.select_backend()


def test_without_any_backend_the_error_says_what_to_install(fresh):
    fresh.setattr(graphics, "probe", reports(set())[0])
    with pytest.raises(NoGraphicsError, match=r"no library.*apt-get install"):
        graphics.select_backend()


def test_children_do_not_probe_again(fresh):
    probe, asked = reports({"egl"})
    fresh.setattr(graphics, "probe", probe)
    fresh.setenv("MUJOCO_GL", "egl")
    fresh.setenv(graphics.PROVEN, "egl")
    assert graphics.select_backend() == "egl"
    assert asked == []


def test_selection_works_after_mujoco_was_imported():
    program = (
        "import mujoco\n"
        "from envs.graphics import make_renderer\n"
        f"model = mujoco.MjModel.from_xml_string('''{BALL}''')\n"
        "print(make_renderer(model, 8, 8).render().shape)"
    )
    environment = {
        k: v
        for k, v in os.environ.items()
        if k not in (graphics.SETTING, graphics.PROVEN, "PYOPENGL_PLATFORM")
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "(8, 8, 3)", done.stderr


def run(script, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("WORLDMODEL_GL")}
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=clean | environment,
    )


def test_making_an_env_with_a_backend_that_is_not_there_says_what_to_install():
    done = run(
        "import gymnasium, envs; gymnasium.make('worldmodel/Push-v0')",
        MUJOCO_GL="osmesa",
        LD_LIBRARY_PATH="",
        PYOPENGL_PLATFORM="osmesa",
    )
    if not done.returncode:
        pytest.skip("OSMesa is installed")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("envs.graphics.NoGraphicsError: no GL backend renders (osm")
    assert "unset MUJOCO_GL=osmesa, or install" in last
    assert "NoneType" not in last


@pytest.mark.parametrize(
    ("errors", "problem"),
    [
        (
            "AttributeError: 'NoneType' object has no attribute 'glGetError'",
            "not insta",
        ),
        ("ImportError: other", "ImportError: other"),
    ],
)
def test_a_missing_library_is_called_so(errors, problem):
    assert problem in graphics._last_line(errors, 1)


CLOSES = """
import mujoco
from envs.graphics import make_renderer
close = mujoco.Renderer.close
mujoco.Renderer.close = lambda self: (print("closed"), close(self))
model = mujoco.MjModel.from_xml_string("<mujoco/>")
renderers = [make_renderer(model, 16, 16) for _ in range(2)]
print("end")
"""


def test_renderers_are_closed_before_the_interpreter_ends():
    done = run(CLOSES)
    lines = done.stdout.split()
    assert lines[:3] == ["end", "closed", "closed"]
    assert done.stderr == ""
