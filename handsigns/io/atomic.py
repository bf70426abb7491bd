"""Writing files so that a reader, or a crash, never meets half of one."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal


@contextlib.contextmanager
def replacing(path: Path, keep: Path | None = None) -> Iterator[Path]:
    """A temporary path beside `path`; what is written there takes its place if nothing is raised.

    Of several writers the last one to finish wins, whole. The folder must exist: one that is gone
    was moved away, and making it anew would hide that.

    Args:
        keep: where an earlier file at `path` is put; None overwrites it.
    """
    temporary = _beside(path)
    try:
        yield temporary
        if keep is not None:
            with contextlib.suppress(FileNotFoundError):
                path.replace(keep)
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):  # gone, with its folder, or on a read-only disk
            temporary.unlink()


@contextlib.contextmanager
def staged_folder(
    folder: Path, earlier: Literal["refuse", "replace", "keep"] = "refuse"
) -> Iterator[Path]:
    """A new folder beside `folder`, which takes its place if nothing is raised; else it is removed.

    Args:
        earlier: what becomes of a folder that is there already: it stays, and OSError is raised; it
            is removed; or it is kept beside, under its name with a number.
    """
    fresh = _beside(folder)
    try:
        fresh.mkdir(parents=True)
        yield fresh
        if earlier == "replace":
            shutil.rmtree(folder, ignore_errors=True)
        elif earlier == "keep" and folder.exists():
            folder.rename(free_name(folder))
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def sweep(folder: Path, of: str = "") -> None:
    """Remove what killed writers left half-written, where no one writes now.

    Args:
        of: only of files whose name begins so, which no one writes now; empty sweeps all.
    """
    for temporary in folder.glob(f".{of}*.tmp"):
        with contextlib.suppress(OSError):
            temporary.unlink()


def free_name(folder: Path) -> Path:
    """A name beside a folder's own under which it can be kept aside: its own with a number."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}-{number}")).exists():
        number += 1
    return aside


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all, and see it on the disk."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
