"""The command `test`: test the retrained winner."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from handsigns.cli.commands.report import report_at_end
from handsigns.cli.options import add_name, add_report, add_sources, sources
from handsigns.cli.show import show_test
from handsigns.workflow.data import Sources
from handsigns.workflow.searches import opened
from handsigns.workflow.test import evaluate_on_test

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch

SUMMARY = "test the retrained winner: the only command that opens the test split"
EXAMPLE = "test first"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the search, and the declaration that its trial was picked after a test."""
    add_name(parser)
    parser.add_argument(
        "--after-test",
        action="store_true",
        help="test a trial picked by hand after a test result was known; test.json will say so",
    )
    add_report(parser)
    add_sources(parser)


def run(options: Namespace) -> int:
    """Test the winner of a search and write its report."""
    with opened(options.results, options.name, options.storage) as search:
        evaluate_and_show(search, sources(options), after_test=options.after_test)
        report_at_end(search, options)
    return 0


def evaluate_and_show(search: StoredSearch, sources: Sources, *, after_test: bool = False) -> None:
    """Test the winner and print its figures."""
    show_test(search.paths, evaluate_on_test(search, sources, after_test=after_test))
