"""Live report: rewritten while its search runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from handsigns.io.throttle import Throttle
from handsigns.reporting.write import write_report
from handsigns.results.paths import SearchPaths
from handsigns.results.search_lock import lock_owner
from handsigns.results.store import StoredSearch, open_search

_REPORT_THROTTLE = Throttle(min_interval_s=10.0, max_time_share=0.05)
"""Throttle of a live report by CPU time, which the trials need more."""
_CHECK_SECONDS = 2.0
"""Interval between checks for the end of the search."""

ReportCallback = Callable[[StoredSearch, Path], None]


def follow(
    paths: SearchPaths,
    folder: Path,
    on_written: ReportCallback,
    wait: Callable[[float], None] = time.sleep,
) -> Path:
    """Rewrite the report until no process runs the search, then write its final version.

    While the search runs, no figure files are written, as they take longest.

    Args:
        paths: paths of the search.
        folder: folder of the report.
        on_written: called after each write.
        wait: sleeps for the given seconds.

    Returns:
        The path of the page.
    """
    pause = _REPORT_THROTTLE.pause_s(0.0)
    while lock_owner(paths):
        cpu_start = time.process_time()
        search = open_search(paths)
        page = write_report(search, folder, reload_seconds=round(pause), figures=False)
        on_written(search, page)
        pause = _REPORT_THROTTLE.pause_s(time.process_time() - cpu_start)
        _wait_for_end(paths, pause, wait)
    search = open_search(paths)
    page = write_report(search, folder)
    on_written(search, page)
    return page


def _wait_for_end(paths: SearchPaths, seconds: float, wait: Callable[[float], None]) -> None:
    while seconds > 0 and lock_owner(paths):
        wait(min(seconds, _CHECK_SECONDS))
        seconds -= _CHECK_SECONDS
