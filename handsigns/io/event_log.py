"""An append-only file of events, a line of JSON each, that knows a damaged line when it meets one.

Each line ends with the checksum of what stands before it (``"crc"``), so that a line that was torn,
altered or filled with zeros by a power cut is noticed, whatever it looks like.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handsigns.errors import ResultsError

_SEAL = b', "crc": "%08x"}\n'
_SEAL_BYTES = len(_SEAL % 0)
_SYNC_SECONDS = 1.0
"""At most so much is in the system's memory alone, where a power cut would take it."""


def read_events(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The events, and the byte at which they end; damaged lines at the end are left out.

    Raises:
        ResultsError: a line is damaged and sound ones follow it; or the file cannot be read.
    """
    reader = EventReader(path)
    return reader.new(), reader.end


class EventReader:
    """Reads a file of events from its beginning, then what is appended, also by other processes.

    Args:
        path: of the file, which need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0
        self.end = 0
        """The byte at which the sound lines end that were read."""

    def new(self) -> list[dict[str, Any]]:
        """The events since the last call; damaged lines at the end, such as one that is being
        written, are left for the next.

        Raises:
            ResultsError: a line is damaged and sound ones follow it; or the file cannot be read.
        """
        try:
            with self._path.open("rb") as file:
                file.seek(self.end)
                lines = file.read().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ResultsError(f"{self._path} cannot be read: {error.strerror}") from error
        sound = [_is_sealed(line) for line in lines]
        count = len(lines)
        while count and not sound[count - 1]:
            count -= 1
        if not all(sound[:count]):
            raise _damaged(self._path, self._count + sound.index(False) + 1)
        self._count += count
        self.end += sum(map(len, lines[:count]))
        # All at once, in half the time that it takes line by line.
        events: list[dict[str, Any]] = json.loads(b"[" + b",".join(lines[:count]) + b"]")
        return events


def _damaged(path: Path, number: int) -> ResultsError:
    return ResultsError(
        f"{path}, line {number} is damaged: its checksum does not fit. Restore the file from a "
        f"copy; or cut off that line and all after it (head -n {number - 1}), and resume: "
        f"what was trained since then is read from checkpoints or trained again, to the same "
        f"numbers"
    )


def sealed(event: Mapping[str, Any]) -> bytes:
    """The line of an event, which must not be empty."""
    body = json.dumps(event)[:-1].encode("ascii")
    return body + _SEAL % zlib.crc32(body)


def _is_sealed(line: bytes) -> bool:
    return line[-_SEAL_BYTES:] == _SEAL % zlib.crc32(line[:-_SEAL_BYTES])


class EventLog:
    """The file, open for appending; what follows its last sound line is cut off.

    Args:
        path: of the file, made where there is none.
        whole: bytes of its sound lines, as `read_events` tells.
    """

    def __init__(self, path: Path, whole: int) -> None:
        self._path = path
        # Without a buffer, which would keep what could not be written and try again at the end.
        self._file = path.open("ab", buffering=0)
        self._file.truncate(whole)
        self._end = whole
        self._synced = float("-inf")

    def append(self, event: Mapping[str, Any]) -> None:
        """Write an event, whole or not at all.

        Raises:
            OSError: the disk is full or read-only, or the file was moved away.
        """
        line = sealed(event)
        written = self._file.write(line)
        if written != len(line):
            with contextlib.suppress(OSError):
                self._file.truncate(self._end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        self._end += written
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self._sync()

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        if not os.path.samestat(os.fstat(self._file.fileno()), self._path.stat()):
            raise OSError(errno.ENOENT, "it was replaced by another file", str(self._path))
        self._synced = time.monotonic()

    def close(self) -> None:
        """See everything on the disk, as far as that is possible, and close the file."""
        with contextlib.suppress(OSError):
            self._sync()
        self._file.close()
