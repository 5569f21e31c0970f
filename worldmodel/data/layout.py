"""Where the files of a dataset lie.

<dataset>/
    meta/info.json                            what it is; written last
    meta/stats.json  meta/tasks.parquet
    meta/episodes/chunk-000/file-000.parquet  a row per episode
    data/chunk-000/file-000.parquet           a row per frame, a row group per episode
    staging/episode-000000.parquet            finished, not yet in data/
    .cache/                                   decoded frames; can be deleted
    .lock                                     held by the one writer
"""

from __future__ import annotations

from pathlib import Path

INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
EPISODES = "meta/episodes"
DATA = "data"
STAGING = "staging"
LOCK = ".lock"
CACHE = ".cache"
FILES_PER_CHUNK = 1000
SHARD_MB = 8  # soft limit of a data file; a growing one is written again [MiB]
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"


def shard_place(number: int) -> tuple[int, int]:
    """Gives the chunk and the file index of the shard of that number."""
    return divmod(number, FILES_PER_CHUNK)


def shard_number(chunk: int, file: int) -> int:
    """Gives the number of the shard with that chunk and file index."""
    return chunk * FILES_PER_CHUNK + file


def data_file(root: Path, number: int) -> Path:
    """Gives the file with the frames of a shard."""
    return _file(root, DATA_PATH, number)


def episodes_file(root: Path, number: int) -> Path:
    """Gives the file with the episode records of a shard."""
    return _file(root, EPISODES_PATH, number)


def staged_file(root: Path, index: int) -> Path:
    """Gives the file of a finished episode that is not in a shard yet."""
    return root / STAGING / f"episode-{index:06d}.parquet"


def staged_files(root: Path) -> dict[int, Path]:
    """Gives the files of finished episodes that are not in a shard yet, by index."""
    found = {
        int(file.stem.removeprefix("episode-")): file
        for file in (root / STAGING).glob("episode-*.parquet")
    }
    return dict(sorted(found.items()))


def _file(root: Path, pattern: str, number: int) -> Path:
    chunk, file = shard_place(number)
    return root / pattern.format(chunk_index=chunk, file_index=file)
