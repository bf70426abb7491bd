"""A report that is written anew while its search runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from handsigns.io.throttle import Throttle
from handsigns.reporting.write import write_report
from handsigns.results.paths import SearchPaths
from handsigns.results.store import StoredSearch, holder, open_search

_WRITING = Throttle(interval_s=10.0, share=0.05)
"""Of a report that is followed, by CPU time: the trials want it more."""
_CHECK_SECONDS = 2.0
"""How soon the search's end is noticed."""

Told = Callable[[StoredSearch, Path], None]


def follow(
    paths: SearchPaths, folder: Path, told: Told, wait: Callable[[float], None] = time.sleep
) -> Path:
    """Write the report again and again until no process runs the search, then once for good.

    While the search runs the figures' files are left out, as they take longest.

    Args:
        told: called after each writing.
        wait: for so many seconds.

    Returns:
        the page.
    """
    pause = _WRITING.pause_s(0.0)
    while holder(paths):
        begun = time.process_time()
        search = open_search(paths)
        page = write_report(search, folder, reload_seconds=round(pause), figures=False)
        told(search, page)
        pause = _WRITING.pause_s(time.process_time() - begun)
        _wait_for_end(paths, pause, wait)
    search = open_search(paths)
    page = write_report(search, folder)
    told(search, page)
    return page


def _wait_for_end(paths: SearchPaths, seconds: float, wait: Callable[[float], None]) -> None:
    while seconds > 0 and holder(paths):
        wait(min(seconds, _CHECK_SECONDS))
        seconds -= _CHECK_SECONDS
