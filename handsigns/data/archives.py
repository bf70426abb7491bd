"""Archives of images: zip and tar files are unpacked into the cache, once.

An archive may come from others: only images, tables and the marker of this program's own output are
written, and only below the target; links and special files are not created.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from handsigns.console.progress import ProgressCallback
from handsigns.console.sanitize import printable
from handsigns.data.archive_formats import DAMAGED, Member, open_archive, refusal
from handsigns.data.cache_dir import cache_dir, make_cache_dir
from handsigns.data.file_types import is_image_name, is_leftover, is_system_file
from handsigns.errors import DataError, ResultsError
from handsigns.io.atomic import staged_folder
from handsigns.io.digest import digest
from handsigns.io.json_file import read_json, write_json
from handsigns.io.lock import wait_for_lock
from handsigns.io.output_marker import MARKER

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".zst", ".7z",
                    ".rar")  # fmt: skip
"""Suffixes of archives, supported or not."""
_MIN_LIMIT, _MAX_RATIO = 2**30, 100
"""Unpacked, an archive may have 1 GiB plus 100 times its size: images of one colour shrink that
much, while bombs grow by a thousand times and more."""
_MAX_FILE_BYTES = 200 * 2**20
"""Larger files are no images that the decoder would accept."""
_RECORD = ".archive.json"


@dataclass(frozen=True)
class _Record:
    """Archive that a folder was unpacked from, and what the folder then had.

    Attributes:
        size, modified: the archive's bytes, and its modification time in ns.
        num_files, num_bytes: of the unpacked files.
    """

    size: int
    modified: int
    num_files: int
    num_bytes: int


def unpack(archive: Path, progress: ProgressCallback) -> Path:
    """Return the resolved folder in the cache of an archive's images, unpacked unless it exists.

    Args:
        archive: resolved path of a zip file, or of a tar file, also with gzip, bzip2 or xz.
        progress: called while files are unpacked.

    Raises:
        DataError: it is not an archive, damaged, encrypted or too large, or has links, or names
            outside of it; or the cache cannot be written.
    """
    shown = printable(str(archive))
    try:
        status = archive.stat()
        folder = cache_dir() / "archives" / digest(str(archive))
    except OSError as error:
        raise DataError(f"{shown} cannot be unpacked: {printable(str(error))}") from error
    version = status.st_size, status.st_mtime_ns
    try:
        if not _is_unpacked(folder, version):
            make_cache_dir()
            folder.parent.mkdir(exist_ok=True)
            with wait_for_lock(folder.with_suffix(".lock")):
                if not _is_unpacked(folder, version):  # by another process meanwhile
                    _unpack(archive, folder, version, progress)
    except DAMAGED as error:
        raise DataError(f"{shown} is damaged: {printable(str(error))}") from error
    except NotImplementedError as error:
        raise refusal(shown, f"has a compression that is not supported ({error})") from error
    except OSError as error:
        if error.errno is None:  # raised by `bz2`, not by the system
            raise DataError(f"{shown} is damaged: {printable(str(error))}") from error
        reason = printable(error.strerror or str(error))
        raise DataError(f"{shown} cannot be unpacked into the cache: {reason}") from error
    return folder.resolve()


def _unpack(
    archive: Path, folder: Path, version: tuple[int, int], progress: ProgressCallback
) -> None:
    """Replace a folder, which may be incomplete or of another version, by the archive's content."""
    shutil.rmtree(folder, ignore_errors=True)
    with staged_folder(folder) as staging:
        limit = min(_MIN_LIMIT + _MAX_RATIO * version[0], shutil.disk_usage(staging).free)
        with open_archive(archive) as members:
            _write(printable(str(archive)), members, staging, limit, progress)
        write_json(staging / _RECORD, asdict(_Record(*version, *_content(staging))))


def _is_unpacked(folder: Path, version: tuple[int, int]) -> bool:
    """Return whether a folder has all files of an archive with this size and modification time."""
    with contextlib.suppress(OSError, ResultsError):
        return read_json(folder / _RECORD, _Record) == _Record(*version, *_content(folder))
    return False


def _content(folder: Path) -> tuple[int, int]:
    """Return the number of unpacked files, and their bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    sizes = [
        path.stat().st_size for path in files if path.name != _RECORD and not is_leftover(path.name)
    ]
    return len(sizes), sum(sizes)


def _write(
    shown: str, members: Iterator[Member], target: Path, limit: int, progress: ProgressCallback
) -> None:
    """Write the files that can be part of a data set.

    Args:
        shown: the archive's name in errors.
        members: its files.
        target: an empty folder.
        limit: bytes that all files may have together, whether or not they are written.
        progress: called after each file.
    """
    size = 0
    for member in members:
        size += member.size
        if size > limit:
            raise refusal(
                shown,
                f"unpacks to more than {limit / 2**30:.0f} GiB, or more than the disk of the cache "
                f"has free",
            )
        parts = _parts(shown, member.name)
        if _is_wanted(parts) and not _is_too_large(shown, member):
            if not member.is_regular:
                raise refusal(shown, f"has a link or special file, {printable(member.name)}")
            _write_file(shown, member, target.joinpath(*parts))
        progress(member.done, member.total)


def _parts(shown: str, name: str) -> list[str]:
    """Return the folders and the name of a file, which must be inside of the archive."""
    path = name.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or not parts:
        raise DataError(
            f"{shown} has a file outside of it, {printable(name)}: it is damaged, or made to harm; "
            f"do not unpack it"
        )
    return parts


def _is_wanted(parts: list[str]) -> bool:
    *folders, name = parts
    if any(map(is_system_file, folders)):
        return False
    if is_leftover(name):
        return False
    if name.startswith("."):
        return name == MARKER or is_image_name(name) is True
    return is_image_name(name) is not False or name.lower().endswith(".csv")


def _is_too_large(shown: str, member: Member) -> bool:
    """Return whether a file is too large to be an image; refuse one that is named like an image."""
    if member.size <= _MAX_FILE_BYTES:
        return False
    if is_image_name(member.name):
        raise refusal(shown, f"has an image of {member.size >> 20} MiB, {printable(member.name)}")
    return True


def _write_file(shown: str, member: Member, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("xb") as file, member.open() or contextlib.nullcontext() as source:
            if source is not None:
                shutil.copyfileobj(source, file)
    except FileExistsError:
        raise refusal(shown, f"has two files called {printable(member.name)}") from None
