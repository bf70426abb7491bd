"""Reporting of Ctrl-C: state of the results, and command to retry."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

UNCHANGED = "the search was not changed"


@contextlib.contextmanager
def report_interrupt(state: Callable[[], str] | str, retry_command: str = "") -> Iterator[None]:
    """Report the state of the results, and the command to retry, on Ctrl-C.

    Args:
        state: description of the state, or a function that returns it at that time.
        retry_command: the command; empty if there is none.

    Raises:
        KeyboardInterrupt: with this message, unless it has one already.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        if error.args:
            raise
        text = state if isinstance(state, str) else state()
        remedy = f"\nretry: {retry_command}" if retry_command else ""
        raise KeyboardInterrupt(f"interrupted; {text}{remedy}") from error


def file_signature(file: Path) -> tuple[int, int] | None:
    """Return a value that changes when a file is rewritten; None if it does not exist."""
    with contextlib.suppress(OSError):
        status = file.stat()
        return status.st_ino, status.st_mtime_ns
    return None
