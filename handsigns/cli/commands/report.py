"""The command `report`, and the report with which other commands end."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.cli.options import add_name, add_reports
from handsigns.cli.show import show_next
from handsigns.console.sanitize import note
from handsigns.console.wrap import show_line
from handsigns.errors import HandsignsError
from handsigns.workflow.report import follow_report, write_report
from handsigns.workflow.searches import open_at
from handsigns.workflow.sync import synced

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch

SUMMARY = "make a page of a search: the winner, what it cost, what was learned; also while it runs"
EXAMPLE = "report first --follow"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the search, where its report goes, and whether to keep it up to date."""
    add_name(parser)
    add_reports(parser)
    parser.add_argument(
        "--follow", action="store_true", help="write it anew until the search has ended"
    )


def run(options: Namespace) -> int:
    """Write a search's report, once or for as long as it runs."""
    with synced(options.results, options.name, options.storage) as paths:
        if options.follow:
            page = follow_report(paths, options.reports)
            show_line(f"no process runs {paths.name} any more; the report is complete: {page}")
        else:
            search = open_at(paths)
            _write_and_show(search, options.reports)
            show_next(search)
    return 0


def report_at_end(search: StoredSearch, options: Namespace) -> None:
    """Write a search's report unless none is wanted; a failure is noted, not raised."""
    if options.no_report:
        return
    try:
        _write_and_show(search, options.reports)
    except (HandsignsError, OSError) as error:
        note(f"there is no report: {error}")


def _write_and_show(search: StoredSearch, reports: Path) -> None:
    show_line(f"report: {write_report(search, reports)} (open it in a browser)")
