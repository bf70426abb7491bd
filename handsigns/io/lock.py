"""Locks between processes: held by one, released by the system when its holder ends, however."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from filelock import lock_descriptor

from handsigns.host import this_process

_ATTEMPTS, _PAUSE_S = 5, 0.05
"""Attempts to acquire a lock, and the delay between them: who only looks at one holds it for
microseconds."""


class LockedError(Exception):
    """Another process holds the lock; `str(error)` names it."""


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock in the file `path` and write there who holds it.

    Raises:
        LockedError: another process does.
        OSError: the file cannot be written.
    """
    with path.open("a+", encoding="utf-8") as file:
        if not _acquire(file):
            raise LockedError(holder(path) or "another process")
        with contextlib.suppress(OSError):  # who holds it matters to others alone
            file.truncate(0)
            file.write(f"{this_process()} since {time.strftime('%Y-%m-%d %H:%M:%S')}")
            file.flush()
        yield


@contextlib.contextmanager
def wait_for(path: Path) -> Iterator[None]:
    """Hold the lock in the file `path` as soon as no other process does.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("a") as file:
        lock_descriptor(file.fileno())
        yield


def holder(path: Path) -> str:
    """Return who holds a lock, as was written there; empty where no one does, or none can read."""
    with contextlib.suppress(OSError), path.open(encoding="utf-8") as file:
        if not _acquire(file):
            return file.read(200) or "another process"
    return ""


def _acquire(file: IO[str]) -> bool:
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_S)
        if lock_descriptor(file.fileno(), blocking=False):
            return True
    return False
