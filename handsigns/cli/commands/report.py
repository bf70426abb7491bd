"""The command `report`, and the report that other commands write at their end."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.cli.options import add_name, add_reports
from handsigns.cli.show import show_next
from handsigns.console.sanitize import note
from handsigns.console.wrap import print_line
from handsigns.errors import HandsignsError
from handsigns.workflow.report import follow_report, write_report
from handsigns.workflow.searches import open_at
from handsigns.workflow.sync import synced_search_dir

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch

SUMMARY = (
    "write the report of a search, also while it runs: winner, leaderboard, cost, hyperparameters"
)
EXAMPLE = "report first --follow"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the search, the folder of reports, and whether to follow the search."""
    add_name(parser)
    add_reports(parser)
    parser.add_argument(
        "--follow", action="store_true", help="keep it up to date until the search ends"
    )


def run(options: Namespace) -> int:
    """Write a search's report, once or until the search ends."""
    with synced_search_dir(options.results, options.name, options.storage) as paths:
        if options.follow:
            page = follow_report(paths, options.reports)
            print_line(f"{paths.name} is no longer running; the report is final: {page}")
        else:
            search = open_at(paths)
            _write_and_show(search, options.reports)
            show_next(search)
    return 0


def write_final_report(search: StoredSearch, options: Namespace) -> None:
    """Write a search's report unless --no-report is given; print a failure, don't raise it."""
    if options.no_report:
        return
    try:
        _write_and_show(search, options.reports)
    except (HandsignsError, OSError) as error:
        note(f"the report could not be written: {error}")


def _write_and_show(search: StoredSearch, reports: Path) -> None:
    print_line(f"report: {write_report(search, reports)} (open it in a browser)")
