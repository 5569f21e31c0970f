import pytest

from envs.graphics import BackendReport
from worldmodel.commands import doctor
from worldmodel.commands.main import main


@pytest.fixture
def backends(monkeypatch):
    """Makes the GL backends work or fail as the test says."""

    def install(working, setting=""):
        def probe(backend, frames=10, timeout_s=30.0):
            if backend in working:
                return BackendReport(backend, "", "llvmpipe", 50.0)
            return BackendReport(backend, "no library")

        monkeypatch.setattr(doctor, "probe", probe)
        monkeypatch.setattr(doctor, "candidates", lambda: ("egl", "osmesa"))
        monkeypatch.setenv("MUJOCO_GL", setting)

    return install


def test_this_machine_is_well(capsys):
    assert main(["doctor", "measure=false"]) == 0
    shown = capsys.readouterr().out
    for topic in ("graphics", "processor", "device", "video", "versions", "weights"):
        assert f"ok  {topic}" in shown
    assert len(shown.splitlines()) < 24


def test_rates_are_measured_on_demand(capsys, backends):
    backends({"egl"})
    assert main(["doctor", "frames=2"]) == 0
    assert "GFLOP/s" in capsys.readouterr().out


def test_without_gl_the_remedy_is_told_and_the_status_is_1(backends, capsys):
    backends(set())
    assert main(["doctor", "measure=false"]) == 1
    shown = capsys.readouterr().out
    assert "egl: no (no library)" in shown
    assert "apt-get install" in shown.splitlines()[-1]


def test_a_backend_that_is_not_needed_may_fail(backends, capsys):
    backends({"osmesa"})
    assert main(["doctor", "measure=false"]) == 0
    shown = capsys.readouterr().out
    assert "--  graphics   egl: no" in shown
    assert "osmesa: renders in software (llvmpipe), 50 frames/s at 96x96, used" in shown


def test_a_setting_that_does_not_render_is_named(backends, capsys):
    backends({"egl"}, setting="osmesa")
    assert main(["doctor", "measure=false"]) == 1
    assert "MUJOCO_GL=osmesa does not render" in capsys.readouterr().out


def test_a_missing_codec_is_named(backends, capsys, monkeypatch):
    backends({"egl"})
    monkeypatch.setattr(doctor, "CODEC", "nonsense")
    assert main(["doctor", "measure=false"]) == 1
    assert "video: no nonsense in PyAV" in capsys.readouterr().out


def test_a_film_comes_back_whole():
    assert doctor._film_frames(7) == 7
