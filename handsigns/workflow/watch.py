"""Live view of a search that another process runs, from its files alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handsigns.console.sanitize import note

if TYPE_CHECKING:
    from handsigns.results.paths import SearchPaths
    from handsigns.results.store import StoredSearch

_INTERVAL_S = 0.5


def watch(paths: SearchPaths, *, once: bool = False) -> StoredSearch:
    """Show a search until it ends; return it as last read.

    Args:
        paths: paths of the search.
        once: show the current state once, and return.

    Raises:
        ConfigError, ResultsError: its files are damaged.
    """
    from rich.console import Console

    from handsigns.monitor.watch import WatchedSearch, print_status
    from handsigns.monitor.watch import watch as follow
    from handsigns.results.background_sync import follow_remote

    console = Console(highlight=False)
    watched = WatchedSearch(paths)
    if once:
        print_status(watched, console)
        return watched.search
    with follow_remote(paths, note):
        follow(watched, console, _INTERVAL_S)
    return watched.search
