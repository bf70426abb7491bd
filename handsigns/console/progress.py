"""Progress on what takes more than a moment: a bar in a terminal, a few lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

Report = Callable[[int, int], None]
"""Called with how much is done and how much there is."""

_QUARTERS = 4
_QUIET_SECONDS = 2.0
"""What is done by then needs no progress."""


@contextlib.contextmanager
def progress(what: str) -> Iterator[Report]:
    """Show the progress of `what` on standard error while this lasts."""
    if not sys.stderr.isatty():
        yield _lines(what)
        return
    # Loaded only here: errors are to come at once.
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
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(what: str) -> Report:
    said = 0
    begun = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal said
        quarter = _QUARTERS * done // max(total, 1)
        if quarter > said and time.monotonic() - begun > _QUIET_SECONDS:
            said = quarter
            print(f"{what}: {done}/{total}", file=sys.stderr, flush=True)

    return report
