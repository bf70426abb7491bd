"""Test the retrained winner of a search: the one step that opens the test split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handsigns.workflow.data import Sources, open_unchanged
from handsigns.workflow.next_step import ensure_winner
from handsigns.workflow.trackers import publish_winner

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch
    from handsigns.results.winner import TestResult


def evaluate_on_test(
    search: StoredSearch, sources: Sources, *, after_test: bool = False
) -> TestResult:
    """Test the winner and write the result beside it.

    Args:
        search: the search.
        sources: its data and user code.
        after_test: declare that its trial was picked by hand after a test result was known.

    Raises:
        ResultsError: there is no winner, or it was picked after a test and this is not declared.
        DataError: the data have changed.
    """
    from handsigns.winner.test import check_choice, test_winner

    ensure_winner(search.paths)
    check_choice(search.paths, after_test=after_test)
    data = open_unchanged(search, sources.data)
    result = test_winner(
        search, data, after_test=after_test, allow_own_code=sources.trust_user_code
    )
    publish_winner(search)
    return result
