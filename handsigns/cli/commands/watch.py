"""The command `watch`: follow a running search from another shell."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from handsigns.cli.options import add_name
from handsigns.cli.show import show_next
from handsigns.workflow.sync import synced_search_dir
from handsigns.workflow.watch import watch

SUMMARY = "follow a search from another shell; Ctrl-C detaches and leaves it running"
EXAMPLE = "watch first"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the search, and whether to show it only once."""
    add_name(parser)
    parser.add_argument("--once", action="store_true", help="show the current state and exit")


def run(options: Namespace) -> int:
    """Show a search live, until it ends or the user detaches."""
    with synced_search_dir(options.results, options.name, options.storage) as paths:
        try:
            show_next(watch(paths, once=options.once))
        except KeyboardInterrupt:
            # The normal way to stop watching, so no error.
            print(f"\ndetached; {paths.name} is not affected", file=sys.stderr)
    return 0
