"""Progress of longer operations: a bar in a terminal, a few lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator

ProgressCallback = Callable[[int, int], None]
"""Callback that takes the completed and the total count."""


def no_progress(done: int, total: int) -> None:
    """Report no progress."""


_QUARTERS = 4
_QUIET_SECONDS = 2.0
"""Operations shorter than this print no progress."""


@contextlib.contextmanager
def progress(description: str) -> Iterator[ProgressCallback]:
    """Show progress on standard error, updated by the callback that this yields."""
    if not sys.stderr.isatty() or os.environ.get("TERM", "").lower() in ("dumb", "unknown"):
        yield _line_progress(description)
        return
    # Imported only here, so that errors are reported without delay.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _line_progress(description: str) -> ProgressCallback:
    reported = 0
    started = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal reported
        quarter = _QUARTERS * done // max(total, 1)
        if quarter > reported and time.monotonic() - started > _QUIET_SECONDS:
            reported = quarter
            print(f"{description}: {done}/{total}", file=sys.stderr, flush=True)

    return report
