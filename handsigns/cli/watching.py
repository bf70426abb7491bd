"""The command that follows a search from another shell."""

from __future__ import annotations

import sys
from argparse import Namespace

_EVERY_SECONDS = 0.5


def watch(options: Namespace) -> int:
    """Show a search as it stands, until it ends or the user has seen enough."""
    from handsigns.results.paths import SearchPaths

    paths = SearchPaths.existing(options.results, options.name)  # told before more is loaded

    from rich.console import Console

    from handsigns.console.sanitize import note
    from handsigns.monitor.watch import Watched, show_once
    from handsigns.monitor.watch import watch as follow
    from handsigns.results.sync import kept_fresh

    console = Console(highlight=False)
    watched = Watched(paths)
    if options.once:
        show_once(watched, console)
        return 0
    try:
        with kept_fresh(paths, note):
            follow(watched, console, _EVERY_SECONDS)
    except KeyboardInterrupt:
        # To leave is how watching ends; the search goes on.
        print(f"\n{paths.name} is not touched by this", file=sys.stderr)
    return 0
