"""Listing of image folders, without hidden files and this program's own output."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from handsigns.console.progress import ProgressCallback
from handsigns.console.sanitize import printable
from handsigns.data.archives import ARCHIVE_SUFFIXES, unpack
from handsigns.data.file_types import is_image, is_image_name, is_leftover, is_system_file
from handsigns.errors import DataError
from handsigns.io.output_marker import is_output_folder

_URL = re.compile(r"([a-z][a-z0-9+]*):/", re.IGNORECASE)


def resolve_data_folder(source: Path, progress: ProgressCallback) -> Path:
    """Return the resolved folder of a data set, that of an archive in the cache.

    Args:
        source: the folder, or an archive.
        progress: called while an archive is unpacked.

    Raises:
        DataError: it is a URL, another file or does not exist; with a remedy.
    """
    shown = printable(str(source))
    check_is_path(source, "download it, then pass the folder or archive (--data DIR)")
    try:
        source = source.expanduser()
        if not source.exists():
            raise DataError(f"folder {shown} does not exist; pass an existing one (--data DIR)")
        if not source.is_dir():
            if not source.name.lower().endswith(ARCHIVE_SUFFIXES):
                raise DataError(f"{shown} is a file; pass the folder that contains it (--data DIR)")
            return unpack(source.resolve(), progress)
        return source.resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{shown} cannot be read: {error}") from error


def check_is_path(source: Path, remedy: str) -> None:
    """Check that what was given as a path is not a URL.

    Raises:
        DataError: it is one.
    """
    if _URL.match(str(source)):
        # A `Path` has one slash where the URL has two.
        url = _URL.sub(r"\1://", str(source), count=1)
        raise DataError(f"{printable(url)} is a URL; {remedy}")


def absolute_path(path: Path) -> Path:
    """Return the path of a data set as it is recorded: absolute, without ``~`` and links.

    Raises:
        DataError: the home folder is unknown.
    """
    return expand_home(path).resolve()


def expand_home(path: Path) -> Path:
    """Expand ``~``, which a path has that no shell has seen, as in Python or ``--data=~/photos``.

    Raises:
        DataError: the home folder is unknown.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise DataError(f"{printable(str(path))} cannot be used: {error}") from error


def find_images(folder: Path) -> list[Path]:
    """Return the images in a folder and its subfolders, sorted by name.

    Raises:
        DataError: it cannot be read.
    """
    return [below / e.name for below in walk_folders(folder) for e in images_in(below)]


def subfolders(folder: Path) -> dict[str, Path]:
    """Return the folders in a folder by name."""
    return {
        entry.name: folder / entry.name
        for entry in entries(folder)
        if _is_folder(entry) and not is_output_folder(folder / entry.name)
    }


def walk_folders(folder: Path) -> Iterator[Path]:
    """Yield a folder and its subfolders recursively; links are not followed, as they may loop."""
    yield folder
    for below in subfolders(folder).values():
        if not below.is_symlink():
            yield from walk_folders(below)


def has_images(folder: Path) -> bool:
    """Return whether a folder or any of its subfolders has images."""
    return any(images_in(below) for below in walk_folders(folder))


def images_in(folder: Path) -> list[os.DirEntry[str]]:
    """Return the images in a folder, sorted by name."""
    return [e for e in entries(folder) if not _is_folder(e) and is_image(folder / e.name)]


def hidden_images(folder: Path) -> list[str]:
    """Return the names of the hidden images in a folder, sorted, by their suffix."""
    names = [entry.name for entry in _scan(folder) if entry.name.startswith(".")]
    return [name for name in names if is_image_name(name) and not is_leftover(name)]


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder, sorted by name, without hidden and system files."""
    return [entry for entry in _scan(folder) if not is_system_file(entry.name)]


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{printable(str(folder))} cannot be read: {error.strerror}") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # A link to itself; reading it as a file gives the error message.


def links_outside(path: Path, root: Path) -> bool:
    """Return whether a path, after following links, is outside `root`."""
    # realpath, as Path.resolve raises on a link to itself.
    return not Path(os.path.realpath(path)).is_relative_to(root)
