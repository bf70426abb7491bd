"""Output streams that tolerate a closed terminal or a broken pipe."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import TextIO


class BrokenPipeSafeStream(io.TextIOBase):
    """Text stream that discards all output once writing has failed.

    Args:
        stream: the underlying stream.
        on_lost: called once, with the system's error.
    """

    def __init__(self, stream: TextIO, on_lost: Callable[[OSError], None] | None = None) -> None:
        self._stream = stream
        self._on_lost = on_lost
        self._lost = False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the underlying stream."""
        return self._stream.encoding

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return whether the stream is a terminal that is still open."""
        return not self._lost and self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor of the underlying stream."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write text, unless the stream is lost."""
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush, unless the stream is lost."""
        self._attempt(self._stream.flush)

    def _attempt(self, work: Callable[[], object]) -> None:
        if self._lost:
            return
        try:
            work()
        except OSError as error:
            self._lost = True
            # Discard what is still buffered, which would otherwise fail at exit.
            with contextlib.suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self._stream.fileno())
                os.close(null)
            if self._on_lost is not None:
                self._on_lost(error)


@contextlib.contextmanager
def tolerate_broken_pipe() -> Iterator[None]:
    """Discard output printed within this context once its reader is gone."""
    out, err = BrokenPipeSafeStream(sys.stdout), BrokenPipeSafeStream(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield
        out.flush()
        err.flush()


def open_missing_streams() -> None:
    """Open the null device for whichever standard stream was closed at startup.

    Otherwise files opened later would get these descriptors and receive whatever is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor, which is this one
        if getattr(sys, name) is None:
            stream = os.fdopen(number, "w" if number else "r", closefd=False)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
