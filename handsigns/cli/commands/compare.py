"""The command `compare`: compare several searches."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from handsigns.cli.options import add_reports, add_results
from handsigns.cli.show import show_table
from handsigns.console.wrap import print_line
from handsigns.workflow.report import compare

SUMMARY = "compare searches: best result over time, cost, best configurations, search spaces"
EXAMPLE = "compare first second"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the searches, and the folder of the page."""
    parser.add_argument("names", nargs="+", metavar="NAME", help="names of two or more searches")
    add_results(parser)
    add_reports(parser)


def run(options: Namespace) -> int:
    """Print a comparison and write its page."""
    comparison, page = compare(options.names, options.results, options.reports)
    show_table(comparison.columns, comparison.summary, left=comparison.columns[:1])
    for line in (comparison.verdict, *comparison.tests):
        print_line(line)
    for warning in comparison.warnings:
        print_line(f"note: {warning}")
    print_line(f"written to {page}; open it in a browser")
    return 0
