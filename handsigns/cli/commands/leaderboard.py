"""The command `leaderboard`: a search's trials, best first."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from handsigns.cli.options import add_name, positive
from handsigns.cli.show import show_leaderboard, show_next
from handsigns.workflow.searches import opened

SUMMARY = "print a search's trials, best first"
EXAMPLE = "leaderboard first --top 10"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the search, and how much of its leaderboard in what form."""
    add_name(parser)
    parser.add_argument("--top", type=positive, metavar="N", help="only the best N")
    parser.add_argument(
        "--format", choices=("table", "csv", "json", "md"), default="table", help="default: table"
    )


def run(options: Namespace) -> int:
    """Print the leaderboard."""
    with opened(options.results, options.name, options.storage) as search:
        show_leaderboard(search, options.top, options.format)
        if options.format == "table":
            show_next(search, sys.stderr)
    return 0
