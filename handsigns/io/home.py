"""Fallback for a missing home folder, as in containers: a private temporary folder."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path


def fallback_home() -> Path | None:
    """Return a private temporary folder if the user has no writable home, else None.

    Raises:
        OSError: the folder cannot be created, or belongs to another user.
    """
    with contextlib.suppress(RuntimeError):  # neither HOME nor an entry in passwd
        if os.access(Path.home(), os.W_OK):
            return None
    return _private_folder(Path(tempfile.gettempdir()) / f"handsigns-home-{os.getuid()}")


def _private_folder(folder: Path) -> Path:
    """Create a folder that no other user owns or can write to."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_private(folder):
        raise OSError(f"{folder} belongs to another user, and there is no home folder (set HOME)")
    return folder


def is_private(folder: Path) -> bool:
    """Return whether this is a folder, not a link, that no other user owns or can access.

    Raises:
        OSError: it cannot be looked up.
    """
    found = folder.lstat()
    owned = found.st_uid == os.getuid() and stat.S_ISDIR(found.st_mode)
    return owned and not found.st_mode & 0o077
