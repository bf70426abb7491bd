"""Test of the retrained winner: the only step that opens the test split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handsigns.workflow.data import InputOptions, open_verified_data
from handsigns.workflow.next_step import ensure_winner
from handsigns.workflow.sync import exclusive_access
from handsigns.workflow.trackers import publish_winner

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch
    from handsigns.results.test_result import TestResult


def evaluate_on_test(
    search: StoredSearch, inputs: InputOptions, *, after_test: bool = False
) -> TestResult:
    """Evaluate the winner on the test split and write the result beside it.

    Args:
        search: the search.
        inputs: its data and user code.
        after_test: declare that the user chose its trial after a test result was known.

    Raises:
        ResultsError: there is no winner, it was chosen after a test and this is not declared, or
            the search is being run.
        DataError: the data have changed.
        ResourceError: the storage of its copy cannot be read.
    """
    from handsigns.winner.test import check_selection, evaluate_winner

    ensure_winner(search.paths)
    with exclusive_access(search.paths):  # a retraining would replace the winner meanwhile
        check_selection(search.paths, after_test=after_test)
        data = open_verified_data(search, inputs.data)
        result = evaluate_winner(search, data, trust_user_code=inputs.trust_user_code)
    publish_winner(search)
    return result
