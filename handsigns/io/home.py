"""The home folder of a user; where there is none, as in containers, a private one in its place."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path


def substitute_home() -> Path | None:
    """Return a folder of the user's own among the temporary ones, for one without a home that can
    be written to; None for a user with a home.

    Raises:
        OSError: it cannot be made, or belongs to another user.
    """
    with contextlib.suppress(RuntimeError):  # neither HOME nor an entry in passwd
        if os.access(Path.home(), os.W_OK):
            return None
    return _private_folder(Path(tempfile.gettempdir()) / f"handsigns-home-{os.getuid()}")


def _private_folder(folder: Path) -> Path:
    """Make a folder that no other user could have made, or can write to."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
        raise OSError(f"{folder} belongs to another user, and there is no home folder (set HOME)")
    return folder
