"""The command `compare`: several searches side by side."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from handsigns.cli.options import add_reports, add_results
from handsigns.cli.show import show_table
from handsigns.console.wrap import show_line
from handsigns.workflow.report import compare

SUMMARY = "put searches side by side: best so far, cost, best configurations, spaces"
EXAMPLE = "compare first second"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the searches, and where the page goes."""
    parser.add_argument("names", nargs="+", metavar="NAME", help="names of two or more searches")
    add_results(parser)
    add_reports(parser)


def run(options: Namespace) -> int:
    """Print a comparison and write its page."""
    comparison, page = compare(options.names, options.results, options.reports)
    show_table(comparison.columns, comparison.summary, left=comparison.columns[:1])
    for line in (comparison.verdict, *comparison.tests):
        show_line(line)
    for warning in comparison.warnings:
        show_line(f"note: {warning}")
    show_line(f"written to {page}; open it in a browser")
    return 0
