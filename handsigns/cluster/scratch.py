"""Private temporary folder of a search, and the token of its Ray in it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from handsigns.io.home import is_private
from handsigns.io.lock import LockedError, try_lock

TOKEN_FILE = "token"
_PREFIX = "handsigns-"
_LOCK_FILE = "lock"


@contextlib.contextmanager
def scratch_dir() -> Iterator[Path]:
    """Create a private temporary folder and remove it at the end, with those of killed searches."""
    _remove_stale_scratch_dirs()
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        folder = Path(name)
        # The lock is released when this process ends, however it ends: it marks folders in use.
        with try_lock(folder / "new-lock"):
            (folder / "new-lock").rename(folder / _LOCK_FILE)
            yield folder


def _remove_stale_scratch_dirs() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, LockedError):
            # In a folder of another user, the lock may be a link to any file of this one.
            if is_private(folder) and (folder / _LOCK_FILE).exists():
                with try_lock(folder / _LOCK_FILE):
                    shutil.rmtree(folder, ignore_errors=True)


def create_token(folder: Path) -> Path:
    """Write a random per-run token to a file that only its owner can read; return its path."""
    path = folder / TOKEN_FILE
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return path
