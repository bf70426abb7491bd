"""Inter-process file locks, released by the operating system when the holder exits or dies."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from filelock import lock_descriptor

from handsigns.host import describe_process

_ATTEMPTS, _RETRY_DELAY_S = 5, 0.05
"""Attempts to acquire a lock, and the delay between them; `lock_owner` holds it only briefly."""


class LockedError(Exception):
    """Lock held by another process, which `str(error)` names."""


@contextlib.contextmanager
def try_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path` and record the owner in it.

    Raises:
        LockedError: another process holds it.
        OSError: the file cannot be written.
    """
    with path.open("a+", encoding="utf-8") as file:
        if not _acquire(file):
            raise LockedError(lock_owner(path) or "another process")
        with contextlib.suppress(OSError):  # the owner's name is only informative
            owner = f"{describe_process()} since {time.strftime('%Y-%m-%d %H:%M:%S')}"
            os.ftruncate(file.fileno(), 0)
            # Closing the file would write what remains in a buffer, and fail again.
            os.write(file.fileno(), owner.encode())
        yield


@contextlib.contextmanager
def wait_for_lock(path: Path) -> Iterator[None]:
    """Wait for the lock file `path` and hold it.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("a") as file:
        lock_descriptor(file.fileno())
        yield


def lock_owner(path: Path) -> str:
    """Return the recorded owner of a lock; empty if it is free or cannot be read."""
    with contextlib.suppress(OSError), _open_to_lock(path) as file:
        if not _acquire(file):
            return file.read(200) or "another process"
    return ""


def _open_to_lock(path: Path) -> IO[str]:
    """Open a lock file, if allowed for writing, without which NFS refuses exclusive locks."""
    try:
        return path.open("r+", encoding="utf-8")
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
    return path.open(encoding="utf-8")


def _acquire(file: IO[str]) -> bool:
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_RETRY_DELAY_S)
        if _acquire_once(file):
            return True
    return False


def _acquire_once(file: IO[str]) -> bool:
    try:
        return lock_descriptor(file.fileno(), blocking=False)
    except OSError as error:
        if error.errno != errno.EBADF or file.writable():
            raise
    import fcntl  # not on Windows, which has no such error

    # A shared lock, for which NFS lets a file be open only for reading, conflicts with the owner's.
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False  # also if it cannot be told: a search must not look idle while it runs
    return True
