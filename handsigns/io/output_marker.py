"""Marker of folders that this program wrote, so that they are never read as a data set."""

from __future__ import annotations

import contextlib
from pathlib import Path

MARKER = ".handsigns"
"""Marker file in each folder of results or reports, and in the cache."""


def make_output_folder(folder: Path) -> None:
    """Create and mark a folder for results, reports or the cache; raises OSError on failure."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / MARKER).exists():
        text = "Written by handsigns; this folder is never read as a data set.\n"
        (folder / MARKER).write_text(text, encoding="utf-8")


def is_output_folder(folder: Path) -> bool:
    """Return whether a folder holds results, reports or the cache of this program."""
    with contextlib.suppress(OSError):
        return (folder / MARKER).is_file()
    return False
