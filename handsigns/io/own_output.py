"""Folders that this program has written, so that they are never read as a user's data."""

from __future__ import annotations

import contextlib
from pathlib import Path

_MARK = ".handsigns"
"""A file in each folder of results or reports."""


def make_output_folder(folder: Path) -> None:
    """Make a folder for results or reports, marked as ours; OSError where that fails."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / _MARK).exists():
        text = "Written by handsigns; what lies here is never read as a data set.\n"
        (folder / _MARK).write_text(text, encoding="utf-8")


def is_own_output(folder: Path) -> bool:
    """Return whether a folder holds results or reports of ours."""
    with contextlib.suppress(OSError):
        return (folder / _MARK).is_file()
    return False
