"""The command `test`: test the retrained winner."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from handsigns.cli.commands.report import report_at_end
from handsigns.cli.interruption import interruption, source_options, written
from handsigns.cli.options import add_name, add_report, add_sources, sources
from handsigns.cli.show import show_next, show_test
from handsigns.workflow.data import Sources
from handsigns.workflow.searches import opened
from handsigns.workflow.test import evaluate_on_test

if TYPE_CHECKING:
    from handsigns.results.paths import SearchPaths
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
        show_next(search)
    return 0


def evaluate_and_show(search: StoredSearch, sources: Sources, *, after_test: bool = False) -> None:
    """Test the winner and print its figures."""
    with _interruption(search.paths, sources, after_test=after_test):
        result = evaluate_on_test(search, sources, after_test=after_test)
    show_test(search.paths, result)


def _interruption(
    paths: SearchPaths, sources: Sources, *, after_test: bool
) -> AbstractContextManager[None]:
    file = paths.winner / "test.json"
    before, ledger = written(file), written(paths.test_ledger)

    def stands() -> str:
        if written(file) != before:
            return f"the result is written to {file}"
        if written(paths.test_ledger) != ledger:
            return "the test split was opened, which is recorded, but the result was not written"
        return "no test result was recorded"

    options = ["--after-test"] if after_test else []
    return interruption(stands, paths.command("test", *options, *source_options(sources)))
