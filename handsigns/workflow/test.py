"""Test the retrained winner of a search: the one step that opens the test split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.workflow.data import open_unchanged
from handsigns.workflow.trackers import publish_winner

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch
    from handsigns.results.winner import TestResult


def evaluate_on_test(
    search: StoredSearch,
    *,
    after_test: bool = False,
    moved: Path | None = None,
    trust_user_code: bool = False,
) -> TestResult:
    """Test the winner and write the result beside it.

    Args:
        search: the search.
        after_test: declare that its trial was picked by hand after a test result was known.
        moved: where the images are now; None: where they were.
        trust_user_code: whether the functions that its trial names may be run.

    Raises:
        ResultsError: there is no winner, or it was picked after a test and this is not declared.
        DataError: the data have changed.
    """
    from handsigns.winner.test import check_choice, test_winner

    check_choice(search.paths, after_test=after_test)
    data = open_unchanged(search, moved)
    result = test_winner(search, data, after_test=after_test, allow_own_code=trust_user_code)
    publish_winner(search)
    return result
