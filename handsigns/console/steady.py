"""Output that survives its reader: a terminal that is closed, a pipe that nobody reads any more."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

_NUL = os.devnull


class SteadyStream(io.TextIOBase):
    """Writes to a stream until that fails, and to nowhere from then on.

    Args:
        stream: what is written to.
        on_lost: called once, with the system's error.
    """

    def __init__(self, stream: TextIO, on_lost: Callable[[OSError], None] | None = None) -> None:
        self._stream = stream
        self._on_lost = on_lost
        self._lost = False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream."""
        return self._stream.encoding

    def writable(self) -> bool:
        """Return that it can be written to."""
        return True

    def isatty(self) -> bool:
        """Return whether somebody may be looking at a terminal."""
        return not self._lost and self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's descriptor."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write a text, if anyone can read it."""
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream, if anyone can read it."""
        self._attempt(self._stream.flush)

    def _attempt(self, work: Callable[[], object]) -> None:
        if self._lost:
            return
        try:
            work()
        except OSError as error:
            self._lost = True
            # What is still in buffers goes nowhere, rather than failing as the process ends.
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(_NUL, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)
            if self._on_lost is not None:
                self._on_lost(error)


@contextlib.contextmanager
def steady_output() -> Iterator[None]:
    """Let what is printed within this go nowhere once its reader is gone."""
    out, err = SteadyStream(sys.stdout), SteadyStream(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield
        out.flush()
        err.flush()


def open_missing_streams() -> None:
    """Open nowhere for whichever of standard input, output and error was closed from the start.

    Files that are opened later would take their places, and be written to by whoever prints.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(_NUL, os.O_RDWR)  # the lowest number that is free, which is this one
        if getattr(sys, name) is None:
            stream = os.fdopen(number, "w" if number else "r", closefd=False)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
