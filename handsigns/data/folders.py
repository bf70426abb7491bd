"""What lies in a folder of images; hidden files, and what this program writes, are left out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from handsigns.console.sanitize import printable
from handsigns.data.file_types import is_image, is_litter
from handsigns.errors import DataError
from handsigns.io.own_output import is_own_output


def data_folder(source: Path) -> Path:
    """Return the resolved folder of a data set.

    Raises:
        DataError: it is a URL, a file or not there; with what to name in its place.
    """
    shown = printable(str(source))
    if re.match(r"[a-z][a-z0-9+]*:/", str(source), re.IGNORECASE):
        raise DataError(
            f"{shown} is a URL; download it, unpack it, and name the folder (--data DIR)"
        )
    try:
        source = source.expanduser()
        if not source.exists():
            raise DataError(f"no folder {shown}; name one that exists (--data DIR)")
        if not source.is_dir():
            archive = source.name.lower().endswith((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz"))
            advice = (
                "unpack it, and name the folder" if archive else "name the folder that holds it"
            )
            raise DataError(f"{shown} is a file; {advice} (--data DIR)")
        return source.resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{shown} cannot be read: {error}") from error


def images_below(folder: Path) -> list[Path]:
    """Return the images in a folder and below it, in the order of their names.

    Raises:
        DataError: it cannot be read.
    """
    return [below / e.name for below in folders_below(folder) for e in images_in(below)]


def folders_in(folder: Path) -> dict[str, Path]:
    """Return the folders in a folder by name."""
    return {
        entry.name: folder / entry.name
        for entry in entries(folder)
        if _is_folder(entry) and not is_own_output(folder / entry.name)
    }


def folders_below(folder: Path) -> Iterator[Path]:
    """Yield a folder and all in it, but not through links, which may lead in circles."""
    yield folder
    for below in folders_in(folder).values():
        if not below.is_symlink():
            yield from folders_below(below)


def has_images(folder: Path) -> bool:
    """Return whether there are images in a folder or below it."""
    return any(images_in(below) for below in folders_below(folder))


def images_in(folder: Path) -> list[os.DirEntry[str]]:
    """Return the images in a folder, in the order of their names."""
    return [e for e in entries(folder) if not _is_folder(e) and is_image(folder / e.name)]


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder, sorted by name; hidden and system files are left out."""
    try:
        with os.scandir(folder) as found:
            return sorted((e for e in found if not is_litter(e.name)), key=lambda e: e.name)
    except OSError as error:
        raise DataError(f"{printable(str(folder))} cannot be read: {error.strerror}") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # A link to itself; reading it as a file says what is wrong.


def leads_out(path: Path, root: Path) -> bool:
    """Return whether a link, the path or a folder above it, leads to a place outside `root`."""
    # realpath, as Path.resolve raises on a link to itself.
    return not Path(os.path.realpath(path)).is_relative_to(root)
