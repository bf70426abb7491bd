"""Follow a search that another process runs, from its files alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handsigns.console.sanitize import note

if TYPE_CHECKING:
    from handsigns.results.paths import SearchPaths
    from handsigns.results.store import StoredSearch

_INTERVAL_S = 0.5


def watch(paths: SearchPaths, *, once: bool = False) -> StoredSearch:
    """Show a search until it ends; return it as it was read last.

    Args:
        paths: of the search.
        once: show how it stands now, and return.

    Raises:
        ConfigError, ResultsError: its files are damaged.
    """
    from rich.console import Console

    from handsigns.monitor.watch import Watched, show_once
    from handsigns.monitor.watch import watch as follow
    from handsigns.results.background_sync import kept_fresh

    console = Console(highlight=False)
    watched = Watched(paths)
    if once:
        show_once(watched, console)
        return watched.search
    with kept_fresh(paths, note):
        follow(watched, console, _INTERVAL_S)
    return watched.search
