"""A lock on a file, held by one process at a time and freed when it dies."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import TracebackType

try:
    import fcntl
except ImportError:
    fcntl = None


class FileLock:
    """A lock on a file, as a context manager.

    Processes forked while it is held do not hold it. The same process can take it
    twice. Where the system has no such locks (Windows) it holds nobody up.
    """

    def __init__(self, path: Path, wait: bool) -> None:
        """Takes the lock.

        Args:
            path: The file; made where missing, and left behind.
            wait: Wait for another process that holds it; otherwise raise.

        Raises:
            BlockingIOError: Another process holds it and `wait` is False.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # less the umask
        if fcntl is None:
            return
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            os.close(self._file)
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise BlockingIOError(errno.EAGAIN, "locked", str(path)) from error
            raise

    def release(self) -> None:
        """Frees the lock; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
