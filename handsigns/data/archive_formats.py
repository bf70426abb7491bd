"""Files in zip and tar archives, read in order; what is written of them `archives` decides."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from handsigns.console.sanitize import printable
from handsigns.errors import DataError

_MAX_READ_BYTES = 4 * 2**20
"""Limit on a single read of a tar file, which would hold a header of any length in memory."""
_MAX_PADDING_READS = 16
_MAX_ENTRIES = 2_000_000
_DECOMPRESSORS: tuple[tuple[bytes, Callable[..., Any]], ...] = (
    (b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open)
)  # fmt: skip
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError,
            EOFError)  # fmt: skip
"""Errors while files are read that mean that the archive is damaged."""
_UTF8_NAME, _ENCRYPTED = 0x800, 0x1
"""Flags of a file in a zip."""


@dataclass(frozen=True)
class Member:
    """File in an archive; `done` and `total` are the progress when it is reached."""

    name: str
    size: int
    is_regular: bool
    open: Callable[[], IO[bytes] | None]
    done: int
    total: int


def refusal(shown: str, problem: str) -> DataError:
    """Return the error for an archive that the user has to unpack.

    Args:
        shown: its name.
        problem: what it has or is.
    """
    return DataError(f"{shown} {problem}; unpack it and pass the folder (--data DIR)")


@contextlib.contextmanager
def open_archive(archive: Path) -> Iterator[Iterator[Member]]:
    """Yield the files in an archive, to be read in order.

    Raises:
        DataError: it is neither a zip nor a tar file, or encrypted; also while it is read.
    """
    with archive.open("rb") as file:
        head = file.read(512)
        decompress = next((fn for magic, fn in _DECOMPRESSORS if head.startswith(magic)), None)
        # A zip is recognised by its end, which may also be that of the last file in a tar.
        is_tar = decompress is not None or head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC)
        if not is_tar and zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as opened:
                yield _zip_members(opened)
            return
        file.seek(0)
        with decompress(file) if decompress else contextlib.nullcontext(file) as stream:
            yield _tar_members(printable(str(archive)), _BoundedReads(stream), file)


def _zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    shown = printable(str(archive.filename))
    _check_count(shown, len(archive.infolist()))
    # Some programs for Windows write backslashes.
    entries = [entry for entry in archive.infolist() if not entry.filename.endswith(("/", "\\"))]
    for number, entry in enumerate(entries):
        if entry.flag_bits & _ENCRYPTED:
            raise refusal(shown, "is encrypted")
        name = entry.filename
        if not entry.flag_bits & _UTF8_NAME:  # which macOS does not set
            with contextlib.suppress(UnicodeError):
                name = name.encode("cp437").decode()
        mode = entry.external_attr >> 16
        is_regular = stat.S_IFMT(mode) in (0, stat.S_IFREG)
        opener = partial(archive.open, entry)
        yield Member(name, entry.file_size, is_regular, opener, number, len(entries))


def _tar_members(shown: str, stream: _BoundedReads, file: IO[bytes]) -> Iterator[Member]:
    size = os.fstat(file.fileno()).st_size
    try:
        archive = tarfile.open(fileobj=stream, mode="r:")  # type: ignore[call-overload]  # noqa: SIM115
    except tarfile.ReadError as error:
        raise refusal(shown, "is damaged, or neither a zip nor a tar file") from error
    for number, entry in enumerate(archive, start=1):
        _check_count(shown, number)
        if not entry.isdir():
            opener = partial(archive.extractfile, entry)
            done = 100 * file.tell() // size
            yield Member(entry.name, entry.size, entry.isreg(), opener, done, 100)
        archive.members = []  # would hold every entry in memory
    stream.check_end()


def _check_count(shown: str, entries: int) -> None:
    if entries > _MAX_ENTRIES:
        raise refusal(shown, f"has more than {_MAX_ENTRIES:,} files and folders")


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
