"""Marker of folders that this program wrote, so that they are never read as a data set."""

from __future__ import annotations

import contextlib
from pathlib import Path

MARKER = ".handsigns"
"""Marker file in each folder of results or reports."""


def make_output_folder(folder: Path) -> None:
    """Create and mark a folder for results or reports; raises OSError on failure."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / MARKER).exists():
        text = "Written by handsigns; this folder is never read as a data set.\n"
        (folder / MARKER).write_text(text, encoding="utf-8")


def is_output_folder(folder: Path) -> bool:
    """Return whether a folder holds results or reports written by this program."""
    with contextlib.suppress(OSError):
        return (folder / MARKER).is_file()
    return False
