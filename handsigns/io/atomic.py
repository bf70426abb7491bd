"""Atomic writes: neither a reader nor a crash ever sees a partial file."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal


@contextlib.contextmanager
def atomic_write(path: Path, backup: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which replaces `path` if nothing is raised.

    Among concurrent writers the last to finish wins. The folder must exist: a missing one was moved
    away, and recreating it would hide that.

    Args:
        path: destination.
        backup: path that an existing file at `path` is moved to; None overwrites it.
    """
    temporary = _temporary_path(path)
    try:
        yield temporary
        if backup is not None:
            with contextlib.suppress(FileNotFoundError):
                path.replace(backup)
        temporary.replace(path)
    except OSError as error:
        # Of a failed write, such as to a full disk.
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
    finally:
        with contextlib.suppress(OSError):  # already moved or removed, or a read-only disk
            temporary.unlink()


@contextlib.contextmanager
def staged_folder(
    folder: Path, if_exists: Literal["fail", "replace", "backup"] = "fail"
) -> Iterator[Path]:
    """Yield a temporary folder, which is renamed to `folder` on success and removed on failure.

    Args:
        folder: destination.
        if_exists: what to do with an existing folder: ``fail`` leaves it and raises OSError,
            ``replace`` removes it, ``backup`` renames it to its name with a number appended.
    """
    staging = _temporary_path(folder)
    try:
        staging.mkdir(parents=True)
        yield staging
        if if_exists == "replace":
            shutil.rmtree(folder, ignore_errors=True)
        elif if_exists == "backup" and folder.exists():
            folder.rename(next_free_path(folder))
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _temporary_path(path: Path) -> Path:
    # The name is cut so that this one stays below the limit of file systems, 255 bytes.
    return path.with_name(f".{path.name[:50]}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def remove_temporary_files(folder: Path, prefix: str = "", *, recursive: bool = False) -> None:
    """Remove temporary files and folders that killed writers left behind.

    Args:
        folder: folder to clean up.
        prefix: start of the target files' names; no other process may be writing these.
        recursive: whether to clean up its subfolders too.
    """
    pattern = f".{prefix}*.tmp"
    # Listed first, as removing a folder while its parent is being searched is an error.
    for temporary in list(folder.rglob(pattern) if recursive else folder.glob(pattern)):
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                temporary.unlink()


def next_free_path(folder: Path) -> Path:
    """Return the first unused path of the form ``FOLDER-NUMBER`` beside `folder`."""
    number = 1
    while (candidate := folder.with_name(f"{folder.name}-{number}")).exists():
        number += 1
    return candidate


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically and fsync it."""
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
