"""Archives of images: zip and tar files are unpacked into the cache, once.

An archive may come from others: only images, tables and the marker of this program's own output are
written, and only below the target; links and special files are not created.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from handsigns.console.progress import ProgressCallback
from handsigns.console.sanitize import printable
from handsigns.data.cache_dir import cache_dir
from handsigns.data.file_types import is_image_name, is_system_file
from handsigns.errors import DataError, ResultsError
from handsigns.io.atomic import staged_folder
from handsigns.io.digest import digest
from handsigns.io.json_file import read_json, write_json
from handsigns.io.output_marker import MARKER

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".zst", ".7z",
                    ".rar")  # fmt: skip
"""Suffixes of archives, supported or not."""
_MIN_LIMIT, _MAX_RATIO = 2**30, 100
"""Unpacked, an archive may have 1 GiB and 100 times its size: images of one colour shrink that
much, while bombs grow by a thousand times and more."""
_MAX_FILES = 2_000_000
_MAX_FILE_BYTES = 200 * 2**20
"""Larger files are no images that the decoder would accept."""
_MAX_READ_BYTES = 4 * 2**20
"""Limit on a single read of a tar file, which would hold a header of any length in memory."""
_MAX_PADDING_READS = 16
_DECOMPRESSORS: tuple[tuple[bytes, Callable[..., Any]], ...] = (
    (b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open)
)  # fmt: skip
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError,
            EOFError)  # fmt: skip
_RECORD = ".archive.json"
_UTF8_NAME, _ENCRYPTED = 0x800, 0x1
"""Flags of a file in a zip."""


@dataclass(frozen=True)
class _Member:
    """File in an archive; `done` and `total` are the progress when it is reached."""

    name: str
    size: int
    is_regular: bool
    open: Callable[[], IO[bytes] | None]
    done: int
    total: int


def unpack(archive: Path, progress: ProgressCallback) -> Path:
    """Return a folder in the cache with the images of an archive, unpacked unless it exists.

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
    record = {"size": status.st_size, "modified": status.st_mtime_ns}
    try:
        if _record(folder) != record:
            shutil.rmtree(folder, ignore_errors=True)  # of the archive before it was changed
            with staged_folder(folder) as staging:
                limit = min(
                    _MIN_LIMIT + _MAX_RATIO * status.st_size, shutil.disk_usage(staging).free
                )
                with _open(archive) as members:
                    _write(shown, members, staging, limit, progress)
                write_json(staging / _RECORD, record)
    except _DAMAGED as error:
        raise DataError(f"{shown} is damaged: {printable(str(error))}") from error
    except NotImplementedError as error:
        raise _refusal(shown, f"has a compression that is not supported ({error})") from error
    except OSError as error:
        if _record(folder) != record:  # otherwise another process has unpacked it at the same time
            reason = printable(error.strerror or str(error))
            raise DataError(f"{shown} cannot be unpacked into the cache: {reason}") from error
    return folder


def _record(folder: Path) -> dict[str, int] | None:
    """Return the size and modification time of the archive that was unpacked into a folder."""
    with contextlib.suppress(OSError, ResultsError):
        return read_json(folder / _RECORD, dict[str, int])
    return None


def _refusal(shown: str, problem: str) -> DataError:
    return DataError(f"{shown} {problem}; unpack it and pass the folder (--data DIR)")


@contextlib.contextmanager
def _open(archive: Path) -> Iterator[Iterator[_Member]]:
    """Yield the files in an archive, to be read in order."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield _zip_members(opened)
        return
    with archive.open("rb") as file:
        head = file.read(6)
        file.seek(0)
        decompress = next((fn for magic, fn in _DECOMPRESSORS if head.startswith(magic)), None)
        with decompress(file) if decompress else contextlib.nullcontext(file) as stream:
            yield _tar_members(printable(str(archive)), _BoundedReads(stream), file)


def _zip_members(archive: zipfile.ZipFile) -> Iterator[_Member]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    for number, entry in enumerate(entries):
        if entry.flag_bits & _ENCRYPTED:
            raise _refusal(printable(str(archive.filename)), "is encrypted")
        name = entry.filename
        if not entry.flag_bits & _UTF8_NAME:  # which macOS does not set
            with contextlib.suppress(UnicodeError):
                name = name.encode("cp437").decode()
        mode = entry.external_attr >> 16
        is_regular = stat.S_IFMT(mode) in (0, stat.S_IFREG)
        opener = partial(archive.open, entry)
        yield _Member(name, entry.file_size, is_regular, opener, number, len(entries))


def _tar_members(shown: str, stream: _BoundedReads, file: IO[bytes]) -> Iterator[_Member]:
    size = os.fstat(file.fileno()).st_size
    try:
        archive = tarfile.open(fileobj=stream, mode="r:")  # type: ignore[call-overload]  # noqa: SIM115
    except tarfile.ReadError as error:
        raise _refusal(shown, "is damaged, or neither a zip nor a tar file") from error
    for entry in archive:
        if not entry.isdir():
            opener = partial(archive.extractfile, entry)
            done = 100 * file.tell() // size
            yield _Member(entry.name, entry.size, entry.isreg(), opener, done, 100)
        archive.members = []  # would hold every entry in memory
    stream.check_end()


class _BoundedReads:
    """Stream of a tar file that refuses to read much at once."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._last = b""
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        if size > _MAX_READ_BYTES:
            raise tarfile.ReadError(f"a header has {size} bytes")
        self._last = self._stream.read(size)
        return self._last

    def check_end(self) -> None:
        """Check that the archive ends with zeros, and the checksum of a compressed one.

        `tarfile` takes a damaged header for the end.

        Raises:
            ReadError: it does not.
        """
        if self._last.strip(b"\0"):
            raise tarfile.ReadError("a header is damaged")
        for _ in range(_MAX_PADDING_READS):
            if not self._stream.read(_MAX_READ_BYTES):
                return
        raise tarfile.ReadError("it does not end")


def _write(
    shown: str, members: Iterator[_Member], target: Path, limit: int, progress: ProgressCallback
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
    for number, member in enumerate(members, start=1):
        size += member.size
        if size > limit or number > _MAX_FILES:
            raise _refusal(
                shown,
                f"unpacks to more than {limit / 2**30:.0f} GiB or {_MAX_FILES:,} files, or more "
                f"than the disk of the cache has free",
            )
        parts = _parts(shown, member.name)
        if _is_wanted(parts) and not _is_too_large(shown, member):
            if not member.is_regular:
                raise _refusal(shown, f"has a link or special file, {printable(member.name)}")
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
    if is_system_file(name):
        return name == MARKER
    return is_image_name(name) is not False or name.lower().endswith(".csv")


def _is_too_large(shown: str, member: _Member) -> bool:
    """Return whether a file is too large to be an image; refuse one that is named like an image."""
    if member.size <= _MAX_FILE_BYTES:
        return False
    if is_image_name(member.name):
        raise _refusal(shown, f"has an image of {member.size >> 20} MiB, {printable(member.name)}")
    return True


def _write_file(shown: str, member: _Member, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("xb") as file, member.open() or contextlib.nullcontext() as source:
            if source is not None:
                shutil.copyfileobj(source, file)
    except FileExistsError:
        raise _refusal(shown, f"has two files called {printable(member.name)}") from None
