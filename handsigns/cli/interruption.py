"""Ctrl-C in a command: what stands, and how to go on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handsigns.workflow.data import Sources

UNCHANGED = "nothing of the search was changed"


@contextlib.contextmanager
def interruption(stands: Callable[[], str] | str, again: str = "") -> Iterator[None]:
    """Say at Ctrl-C what stands, and which command does the same again.

    Args:
        stands: in words; called at that time.
        again: the command; empty where there is none.

    Raises:
        KeyboardInterrupt: with that as its text, unless it has one already.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        if error.args:
            raise
        text = stands if isinstance(stands, str) else stands()
        remedy = f"\nto do it again: {again}" if again else ""
        raise KeyboardInterrupt(f"interrupted; {text}{remedy}") from error


def written(file: Path) -> tuple[int, int] | None:
    """Return what differs once a file was written anew; None where there is none."""
    with contextlib.suppress(OSError):
        status = file.stat()
        return status.st_ino, status.st_mtime_ns
    return None


def source_options(sources: Sources) -> list[str]:
    """Return the options that name these sources."""
    moved = [] if sources.data is None else ["--data", str(sources.data)]
    return [*moved, *(["--own-code"] if sources.trust_user_code else [])]
