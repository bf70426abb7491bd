"""The command `watch`: follow a search from another shell."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from handsigns.cli.options import add_name
from handsigns.cli.show import show_next
from handsigns.workflow.sync import synced
from handsigns.workflow.watch import watch

SUMMARY = "follow a search from another shell, without disturbing it; Ctrl-C leaves it running"
EXAMPLE = "watch first"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the search, and whether to look once."""
    add_name(parser)
    parser.add_argument("--once", action="store_true", help="show how it stands now, and end")


def run(options: Namespace) -> int:
    """Show a search as it stands, until it ends or the user leaves."""
    with synced(options.results, options.name, options.storage) as paths:
        try:
            show_next(watch(paths, once=options.once))
        except KeyboardInterrupt:
            # To leave is how watching ends; the search continues.
            print(f"\n{paths.name} is not touched by this", file=sys.stderr)
    return 0
