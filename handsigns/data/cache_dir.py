"""Folder of the cache."""

from __future__ import annotations

import os
from pathlib import Path

from handsigns.io.home import fallback_home
from handsigns.io.output_marker import make_output_folder


def cache_dir() -> Path:
    """Return the cache folder: $HANDSIGNS_CACHE, or handsigns/ in the user's cache folder.

    For a user without a home folder it is a private folder in the temporary directory.

    Raises:
        OSError: there is no such folder.
    """
    override = os.environ.get("HANDSIGNS_CACHE")
    if override:
        try:
            return Path(override).expanduser()
        except RuntimeError as error:
            raise OSError(f"HANDSIGNS_CACHE={override}: {error}") from error
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "handsigns"
    return (fallback_home() or Path.home()) / ".cache" / "handsigns"


def make_cache_dir() -> None:
    """Create the cache folder, marked, as it may be in a folder that is read as a data set.

    Raises:
        OSError: it cannot be written.
    """
    make_output_folder(cache_dir())
