"""The command `test`: test the retrained winner."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from handsigns.cli.commands.report import write_final_report
from handsigns.cli.interrupts import file_signature, report_interrupt
from handsigns.cli.options import add_input_options, add_name, add_report, input_options
from handsigns.cli.show import show_next, show_test
from handsigns.workflow.data import InputOptions
from handsigns.workflow.searches import open_synced
from handsigns.workflow.test import evaluate_on_test

if TYPE_CHECKING:
    from handsigns.results.paths import SearchPaths
    from handsigns.results.store import StoredSearch

SUMMARY = (
    "test the retrained winner, as the last step of `run` and `submit` does; nothing else opens "
    "the test split"
)
EXAMPLE = "test first"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the search, and the declaration of a choice after a test."""
    add_name(parser)
    parser.add_argument(
        "--after-test",
        action="store_true",
        help="test a trial chosen with `retrain --trial` or `--smallest-within` after a test "
        "result was known; recorded in test.json",
    )
    add_report(parser)
    add_input_options(parser)


def run(options: Namespace) -> int:
    """Test the winner of a search and write its report."""
    with open_synced(options.results, options.name, options.storage) as search:
        evaluate_and_show(search, input_options(options), after_test=options.after_test)
        write_final_report(search, options)
        show_next(search)
    return 0


def evaluate_and_show(
    search: StoredSearch, input_options: InputOptions, *, after_test: bool = False
) -> None:
    """Test the winner and print its metrics."""
    with _interruption(search.paths, input_options, after_test=after_test):
        result = evaluate_on_test(search, input_options, after_test=after_test)
    show_test(search.paths, result)


def _interruption(
    paths: SearchPaths, input_options: InputOptions, *, after_test: bool
) -> AbstractContextManager[None]:
    file = paths.winner / "test.json"
    before, ledger = file_signature(file), file_signature(paths.test_ledger)

    def state() -> str:
        if file_signature(file) != before:
            return f"the result was written to {file}"
        if file_signature(paths.test_ledger) != ledger:
            return "the test split was opened (recorded), but the result was not written"
        return "no test result was recorded"

    options = ["--after-test"] if after_test else []
    return report_interrupt(state, paths.command("test", *options, *input_options.arguments))
