"""Says on one screen what works on this machine, how fast, and what to install."""

from __future__ import annotations

import io
import os
import platform
from dataclasses import dataclass

import av
import numpy as np
import torch
from av.error import FFmpegError
from omegaconf import DictConfig

from envs.graphics import (
    INSTALL_HINT,
    SETTING,
    BackendReport,
    candidates,
    probe,
)
from worldmodel.commands.limits import require_whole
from worldmodel.hardware import hardware, matmul_rate, software
from worldmodel.resources import shipped_weights

EXAMPLE = "worldmodel doctor measure=false"
CODEC = "libx264"
MOST_FRAMES = 10_000  # to time
SIDE = 96  # [pixels]


@dataclass(frozen=True)
class Finding:
    """One line of the screen.

    Attributes:
        topic: What was looked at.
        text: What was found.
        remedy: What to do about it; empty where nothing has to be done.
        mark: "ok", "--" for something not needed that does not work, or "!!".
    """

    topic: str
    text: str
    remedy: str = ""
    mark: str = "ok"


def run(config: DictConfig) -> int:
    """Prints the findings; gives 1 where something has to be installed."""
    require_whole(config, "frames", 1, MOST_FRAMES)
    findings = [
        *graphics(config.frames if config.measure else 1),
        processor(),
        device(),
        *(rates() if config.measure else []),
        video(),
        Finding("weights", ", ".join(shipped_weights()) or "none shipped"),
        versions(),
    ]
    width = max(len(finding.topic) for finding in findings)
    for finding in findings:
        print(f"{finding.mark}  {finding.topic:<{width}}  {finding.text}")
    remedies = [f"{f.topic}: {f.remedy}" for f in findings if f.remedy]
    print("\n".join(remedies) if remedies else "All that is needed works.")
    return 1 if remedies else 0


def graphics(frames: int) -> list[Finding]:
    """Tries the GL backends; the first that renders is the one that will be used."""
    setting = os.environ.get(SETTING, "").strip().lower()
    reports = [probe(backend, frames) for backend in candidates()]
    if setting and setting not in candidates():
        reports.append(probe(setting, frames))
    used = next(
        (r.backend for r in reports if r.works and setting in ("", r.backend)), None
    )
    findings = [
        Finding(
            "graphics",
            _describe(r) + (", used" if r.backend == used else ""),
            mark="ok" if r.works else "--",
        )
        for r in reports
    ]
    if used is None:
        advice = f"{SETTING}={setting} does not render, unset it or " if setting else ""
        findings.append(
            Finding("graphics", "nothing renders", advice + INSTALL_HINT, "!!")
        )
    return findings


def processor() -> Finding:
    """Tells processor, cores, threads and memory."""
    return Finding("processor", hardware("cpu").describe())


def device() -> Finding:
    """Tells whether a GPU is there."""
    if torch.cuda.is_available():
        return Finding("device", f"cuda: {torch.cuda.get_device_name()}")
    if torch.backends.mps.is_available():
        return Finding("device", "mps")
    return Finding("device", "cpu, no GPU that torch can use")


def rates() -> list[Finding]:
    """Measures matrix products on the processor, and on a GPU where there is one."""
    places = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    findings: list[Finding] = []
    for place in places:
        rate = matmul_rate(place)
        text = f"{place}: fp32 {rate.fp32_gflops:.0f}, bf16 {rate.bf16_gflops:.0f}"
        findings.append(Finding("matmul", f"{text} GFLOP/s"))
    return findings


def video() -> Finding:
    """Writes a short H.264 film in memory and reads it back."""
    try:
        count = _film_frames(10)
    except (FFmpegError, ValueError) as error:
        return Finding(
            "video",
            f"H.264 fails: {error}",
            f"no {CODEC} in PyAV: pip install --force-reinstall av",
            "!!",
        )
    return Finding("video", f"H.264 ({CODEC}) writes and reads, {count} frames")


def versions() -> Finding:
    """Tells the versions that results depend on."""
    known = software() | {"system": platform.platform()}
    return Finding("versions", ", ".join(f"{name} {v}" for name, v in known.items()))


def _describe(report: BackendReport) -> str:
    if not report.works:
        return f"{report.backend}: no ({report.problem})"
    how = "in software" if report.is_software else "on the GPU"
    return (
        f"{report.backend}: renders {how} ({report.driver}), "
        f"{report.frames_per_s:.0f} frames/s at {SIDE}x{SIDE}"
    )


def _film_frames(count: int) -> int:
    """Gives the number of frames that come back of a film of `count` frames."""
    file = io.BytesIO()
    with av.open(file, mode="w", format="mp4") as film:
        stream = film.add_stream(CODEC, rate=5)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for index in range(count):
            pixels = np.full((SIDE, SIDE, 3), 20 * index, dtype=np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        film.mux(stream.encode())
    file.seek(0)
    with av.open(file, mode="r") as written:
        return sum(1 for _ in written.decode(video=0))
