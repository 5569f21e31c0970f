"""Kinds of datasets that the LeRobot client records, with nothing but plain values.

Both sides of `benchmarks.foreign_datasets` read this: the client's environment, which
writes them, and ours, which reads them.
"""

from __future__ import annotations

from dataclasses import dataclass

TOP, WRIST = "observation.images.top", "observation.images.wrist"
STEP, EPISODE = 8, 20  # by which colours of neighbours differ, out of 256
STEPS, EPISODES = 25, 10  # that have colours of their own


@dataclass(frozen=True)
class Kind:
    """One dataset.

    Attributes:
        name: Of its folder.
        lengths: Frames of each episode.
        cameras: Height and width of each picture, by key [pixels].
        codec: Of videos, as the client calls it; None for pictures in parquet.
        keyframes: Frames from one key frame of a video to the next.
        pixels: Format of videos' pixels.
        fps: Frames per second [Hz].
        action: Dimensions of actions.
        reach: Actions are in [-reach, reach].
        state: Dimensions of the state; 0 for none.
        tasks: How many different ones.
        megabytes: Size at which files end; None for the client's own.
        chunk: Files in a folder; None for the client's own.
        channels_first: Whether info.json calls pictures (channel, height, width).
        noise: Added to each pixel, up to so much, which fills files.
        extra: Whether there are columns that nobody asked for.
        depth: Whether there is a depth camera, too.
        look: Options that training on it needs beside `data`.
        why_not: What the one line says where it cannot be trained on.
    """

    name: str
    lengths: tuple[int, ...] = (20,) * 8
    cameras: tuple[tuple[str, int, int], ...] = ((TOP, 96, 96),)
    codec: str | None = "libsvtav1"
    keyframes: int = 2
    pixels: str = "yuv420p"
    fps: int = 10
    action: int = 2
    reach: float = 1.0
    state: int = 2
    tasks: int = 1
    megabytes: int | None = None
    chunk: int | None = None
    channels_first: bool = False
    noise: int = 0
    extra: bool = False
    depth: bool = False
    look: tuple[str, ...] = ()
    why_not: str = ""


def colour(camera: int, episode: int, step: int) -> tuple[int, int, int]:
    """Gives the colour of a frame, which no other near it has."""
    red, green = episode % EPISODES * EPISODE, step % STEPS * STEP
    return (red + 30, green + 30, 40 + 70 * camera)


KINDS = (
    Kind("av1"),
    Kind("h264_degrees", codec="h264", fps=30, action=7, reach=180.0, state=7),
    Kind("hevc_two_arms", ((24,) * 6), ((TOP, 128, 160),), "hevc", fps=50, action=14),
    Kind("png_one_joint", codec=None, fps=15, action=1, state=1),
    Kind("odd_png", cameras=((TOP, 71, 97),), codec=None),
    Kind("odd_h264", cameras=((TOP, 71, 97),), codec="h264", pixels="yuv444p"),
    Kind("rare_key_frames", (60, 70, 80), codec="h264", keyframes=250, fps=30),
    Kind(
        "two_videos",
        cameras=((TOP, 96, 128), (WRIST, 64, 64)),
        look=(f"camera=[{TOP},{WRIST}]",),
    ),
    Kind(
        "three_cameras",
        cameras=((TOP, 48, 64), (WRIST, 48, 64), ("observation.images.left", 32, 32)),
        codec=None,
        look=("camera=observation.images.left",),
    ),
    Kind("no_state", codec="h264", state=0),
    Kind("long_state", codec=None, action=14, state=32, fps=50),
    Kind("many_tasks", (12,) * 30, tasks=12),
    Kind(
        "many_files",
        (30,) * 12,
        codec=None,
        tasks=3,
        megabytes=1,
        chunk=2,
        noise=20,
    ),
    Kind(
        "many_films",
        (40, 9, 25) * 4,
        ((TOP, 192, 192),),
        "h264",
        fps=15,
        megabytes=1,
        chunk=2,
        noise=25,
    ),
    Kind("short_episodes", (1, 2, 1, 30, 2, 12, 1, 25)),
    Kind("one_episode", (80,), codec="h264"),
    Kind("other_columns", extra=True),
    Kind("channels_first", codec=None, channels_first=True),
    Kind("large", (15,) * 4, ((TOP, 480, 640),), "h264", fps=30, action=7, reach=3.0),
    Kind("depth", codec="h264", depth=True),
    Kind(
        "strided",
        (40,) * 6,
        codec="hevc",
        fps=50,
        action=7,
        state=14,
        look=("stride=5",),
    ),
    Kind(
        "too_short",
        (1, 2, 1, 2),
        why_not="no episode of the split 'train' has",
    ),
    Kind(
        "depth_alone",
        (20,) * 2,
        depth=True,
        look=("camera=observation.depth.top",),
        why_not="must hold RGB pictures, got depth in video",
    ),
)
