"""Append-only event log in JSON lines, with a checksum per line.

Each line ends with the CRC-32 of what precedes it (``"crc"``), so that a line truncated, altered or
zero-filled by a power cut is detected.
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

_CRC_SUFFIX = b', "crc": "%08x"}\n'
_CRC_SUFFIX_LEN = len(_CRC_SUFFIX % 0)
_FSYNC_INTERVAL_S = 1.0
"""Longest time that events are only in the page cache, where a power cut would lose them."""


def read_events(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the events and the byte offset of their end; damaged trailing lines are skipped.

    Raises:
        ResultsError: a damaged line is followed by intact ones, or the file cannot be read.
    """
    reader = EventReader(path)
    return reader.read_new(), reader.offset


class EventReader:
    """Incremental reader of an event log, which other processes may be appending to.

    Args:
        path: the log file, which need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0
        self.offset = 0
        """Byte offset of the end of the last intact line read."""

    def read_new(self) -> list[dict[str, Any]]:
        """Return the events appended since the last call.

        Damaged lines at the end, such as one being written, are left for the next call.

        Raises:
            ResultsError: a damaged line is followed by intact ones, or the file cannot be read.
        """
        try:
            with self._path.open("rb") as file:
                file.seek(self.offset)
                lines = file.read().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ResultsError(f"{self._path} cannot be read: {error.strerror}") from error
        valid = [_checksum_ok(line) for line in lines]
        count = len(lines)
        while count and not valid[count - 1]:
            count -= 1
        if not all(valid[:count]):
            raise _corrupt_line_error(self._path, self._count + valid.index(False) + 1)
        self._count += count
        self.offset += sum(map(len, lines[:count]))
        # Parsing all lines at once takes half the time of parsing them one by one.
        events: list[dict[str, Any]] = json.loads(b"[" + b",".join(lines[:count]) + b"]")
        return events


def _corrupt_line_error(path: Path, number: int) -> ResultsError:
    return ResultsError(
        f"{path}, line {number} is damaged: its checksum does not match. Restore the file from a "
        f"copy; or truncate it before that line (head -n {number - 1}) and resume: epochs trained "
        f"since then are restored from checkpoints or retrained, with identical results"
    )


def encode_event(event: Mapping[str, Any]) -> bytes:
    """Return the log line of a non-empty event."""
    body = json.dumps(event)[:-1].encode("ascii")
    return body + _CRC_SUFFIX % zlib.crc32(body)


def _checksum_ok(line: bytes) -> bool:
    return line[-_CRC_SUFFIX_LEN:] == _CRC_SUFFIX % zlib.crc32(line[:-_CRC_SUFFIX_LEN])


class EventLog:
    """Event log open for appending; anything after its last intact line is truncated.

    Args:
        path: the log file, created if missing.
        valid_bytes: length of its intact lines in bytes, as `read_events` returns it.
    """

    def __init__(self, path: Path, valid_bytes: int) -> None:
        self._path = path
        # Unbuffered: a buffer would keep what could not be written and retry on close.
        self._file = path.open("ab", buffering=0)
        self._file.truncate(valid_bytes)
        self._end = valid_bytes
        self._synced = float("-inf")

    def append(self, event: Mapping[str, Any]) -> None:
        """Append an event, completely or not at all.

        Raises:
            OSError: the disk is full or read-only, or the file was moved away.
        """
        line = encode_event(event)
        written = self._file.write(line)
        if written != len(line):
            with contextlib.suppress(OSError):
                self._file.truncate(self._end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        self._end += written
        if time.monotonic() - self._synced > _FSYNC_INTERVAL_S:
            self._sync()

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        if not os.path.samestat(os.fstat(self._file.fileno()), self._path.stat()):
            raise OSError(errno.ENOENT, "it was replaced by another file", str(self._path))
        self._synced = time.monotonic()

    def close(self) -> None:
        """Flush to disk as far as possible and close the file."""
        with contextlib.suppress(OSError):
            self._sync()
        self._file.close()
