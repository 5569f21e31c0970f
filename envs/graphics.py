"""Finds a GL backend that really renders here, before MuJoCo has to trust one."""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import os
import platform
import signal
import subprocess
import sys
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mujoco

PROBE_PROGRAM = Path(__file__).with_name("render_probe.py")
WATCHDOG_S = 30.0  # [s], a hanging driver is given up after this
SETTING = "MUJOCO_GL"  # MuJoCo's own variable
PROVEN = "WORLDMODEL_GL_PROVEN"  # tells child processes what was tried already
_NO_LIBRARY = "'NoneType' object has no attribute 'gl"  # as PyOpenGL says it
SOFTWARE_DRIVERS = ("llvmpipe", "softpipe", "swrast", "software")
INSTALL_HINT = (
    "install a GL library that renders without a screen, "
    "on Debian or Ubuntu: apt-get install libegl1 libgl1-mesa-dri libosmesa6"
)


class NoGraphicsError(RuntimeError):
    """No GL backend renders here; the message says what to install."""


@dataclass(frozen=True)
class BackendReport:
    """What one GL backend did when it was asked for a picture.

    Attributes:
        backend: Value of MUJOCO_GL: "egl", "osmesa", "glfw" or "cgl".
        problem: Why it cannot be used; empty where it renders rightly.
        driver: What renders, in the driver's words, e.g. "llvmpipe (LLVM 15)".
        frames_per_s: Rate of a small scene at 96 x 96 [1/s].
    """

    backend: str
    problem: str = ""
    driver: str = ""
    frames_per_s: float = 0.0

    @property
    def works(self) -> bool:
        """Whether a right picture came out."""
        return not self.problem

    @property
    def is_software(self) -> bool:
        """Whether the processor renders instead of a GPU."""
        return any(name in self.driver.lower() for name in SOFTWARE_DRIVERS)


def candidates() -> tuple[str, ...]:
    """Gives the backends worth trying on this system, the preferred one first."""
    system = platform.system()
    if system == "Darwin":
        return ("cgl",)
    if system == "Windows":
        return ("glfw",)
    has_screen = "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return ("egl", "osmesa", "glfw") if has_screen else ("egl", "osmesa")


def probe(
    backend: str, frames: int = 10, timeout_s: float = WATCHDOG_S
) -> BackendReport:
    """Renders with one backend in a process of its own, under a watchdog.

    Args:
        backend: Value that MUJOCO_GL gets in that process.
        frames: Frames to time after the first one.
        timeout_s: Time after which the process is killed [s].

    Returns:
        The report; a crash, a hang or a wrong picture is a `problem` in it.
    """
    if frames < 1:
        raise ValueError(f"frames must be at least 1, got {frames}")
    environment = {k: v for k, v in os.environ.items() if k != "PYOPENGL_PLATFORM"}
    process = subprocess.Popen(
        # -P: modules beside the program must not hide the standard library's
        [sys.executable, "-P", str(PROBE_PROGRAM), str(frames)],
        env=environment | {SETTING: backend},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, errors = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _kill_with_children(process)
        process.communicate()
        return BackendReport(backend, f"no picture within {timeout_s:g} s")
    if process.returncode != 0:
        return BackendReport(backend, _last_line(errors, process.returncode))
    facts = json.loads(out.splitlines()[-1])
    problem = "" if facts["is_right"] else "the picture is wrong"
    return BackendReport(backend, problem, facts["driver"], facts["frames_per_s"])


@functools.cache
def select_backend() -> str:
    """Makes MuJoCo use a backend that renders, and gives its name.

    A MUJOCO_GL that the user has set is kept, and tried. Otherwise the candidates are
    tried in order. The choice is left in MUJOCO_GL, for this process and its children,
    also where mujoco was imported before.

    Raises:
        NoGraphicsError: Nothing renders; the message says what to install.
    """
    chosen = os.environ.get(SETTING, "").strip().lower()
    if chosen and os.environ.get(PROVEN) == chosen:
        return chosen
    problems: list[str] = []
    for backend in (chosen,) if chosen else candidates():
        report = probe(backend, frames=1)
        if report.works:
            _use(backend)
            return backend
        problems.append(f"{backend}: {report.problem}")
    advice = f"unset {SETTING}={chosen}, or " if chosen else ""
    raise NoGraphicsError(
        f"no GL backend renders ({'; '.join(problems)}); {advice}{INSTALL_HINT}"
    )


def make_renderer(model: mujoco.MjModel, height: int, width: int) -> mujoco.Renderer:
    """Gives an offscreen renderer on a backend that is known to render.

    Args:
        model: The scene.
        height: Image height [pixels].
        width: Image width [pixels].

    Raises:
        NoGraphicsError: Nothing renders here.
    """
    select_backend()
    import mujoco  # not before: with a bad MUJOCO_GL the import itself fails

    renderer = mujoco.Renderer(model, height, width)
    _close_at_exit(renderer)
    return renderer


_OPEN: weakref.WeakSet[mujoco.Renderer] = weakref.WeakSet()


def _close_at_exit(renderer: mujoco.Renderer) -> None:
    """Frees its GL context before the interpreter ends, which OSMesa cannot survive."""
    if not _OPEN:
        atexit.unregister(_close_open)
        atexit.register(_close_open)
    _OPEN.add(renderer)


def _close_open() -> None:
    for renderer in list(_OPEN):
        renderer.close()


def _use(backend: str) -> None:
    """Sets the backend, for a mujoco that is imported already as well."""
    is_new = os.environ.get(SETTING, "").strip().lower() != backend
    os.environ[SETTING] = backend
    os.environ[PROVEN] = backend
    loaded = sys.modules.get("mujoco.rendering.classic.gl_context")
    if is_new and loaded is not None:
        importlib.reload(loaded)  # mujoco reads MUJOCO_GL once, when this is loaded


def _kill_with_children(process: subprocess.Popen[str]) -> None:
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def _last_line(errors: str, returncode: int) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    if returncode < 0 or not lines:
        return f"the process ended with status {returncode}"
    if _NO_LIBRARY in lines[-1]:
        return "its GL library is not installed"
    return lines[-1]
