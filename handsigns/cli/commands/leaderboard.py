"""The command `leaderboard`: print the trials of a search, best first."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from handsigns.cli.options import add_name
from handsigns.cli.show import show_leaderboard, show_next
from handsigns.cli.values import positive_int
from handsigns.workflow.searches import open_synced

SUMMARY = "print the trials of a search, best first"
EXAMPLE = "leaderboard first --top 10"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the search, the number of rows and the format."""
    add_name(parser)
    parser.add_argument("--top", type=positive_int, metavar="N", help="only the top N trials")
    parser.add_argument(
        "--format",
        choices=("table", "csv", "json", "md"),
        default="table",
        help="output format (default: table)",
    )


def run(options: Namespace) -> int:
    """Print the leaderboard."""
    with open_synced(options.results, options.name, options.storage) as search:
        show_leaderboard(search, options.top, options.format)
        if options.format == "table":
            show_next(search, sys.stderr)
    return 0
