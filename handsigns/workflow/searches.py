"""Opening of stored searches: once per command, and again only after the search has run."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.format import MISSING, percent
from handsigns.errors import HandsignsError, ResultsError
from handsigns.results.paths import SearchPaths
from handsigns.workflow.sync import synced_search_dir

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch


AFTER_TEST = " (chosen by the user after a test)"
"""Mark of a test accuracy that is biased by the choice."""


@contextlib.contextmanager
def open_synced(results: Path, name: str, storage: str | None = None) -> Iterator[StoredSearch]:
    """Open a search; pull its folder from the storage before, push it after.

    Args:
        results, name, storage: see `synced_search_dir`.

    Raises:
        ConfigError, ResultsError: see `synced_search_dir`; or its files are damaged.
    """
    with synced_search_dir(results, name, storage) as paths:
        yield open_at(paths)


def open_by_name(results: Path, name: str) -> StoredSearch:
    """Open a search from the local results folder.

    Raises:
        ConfigError, ResultsError: it does not exist, or its files are damaged.
    """
    return open_at(SearchPaths.existing(results, name))


def open_at(paths: SearchPaths) -> StoredSearch:
    """Open the search in a folder.

    Raises:
        ConfigError, ResultsError: its files are damaged.
    """
    from handsigns.results.store import open_search

    return open_search(paths)


def reload(search: StoredSearch) -> StoredSearch:
    """Reload a search after it has run, as a new object."""
    return open_at(search.paths)


def open_all(results: Path) -> list[StoredSearch | tuple[str, HandsignsError]]:
    """Open all searches of a results folder; return name and error for a damaged one.

    Raises:
        ResultsError: it is a file, or the folder of a search.
    """
    if results.exists() and not results.is_dir():
        raise ResultsError(
            f"{results} is not a folder; pass the one that contains the searches (--results)"
        )
    if SearchPaths(results).journal.is_file():
        parent = shlex.quote(str(results.resolve().parent))
        raise ResultsError(f"{results} is a search; list it with --results {parent}")
    found: list[StoredSearch | tuple[str, HandsignsError]] = []
    for paths in SearchPaths.list_all(results):
        try:
            found.append(open_at(paths))
        except HandsignsError as error:
            found.append((paths.name, error))
    return found


def winner_status(paths: SearchPaths) -> str:
    """Describe the state of a search's winner, for the list; a choice after a test is marked."""
    from handsigns.results.test_result import TEST_FILE, read_test_result
    from handsigns.results.winner import read_model_card

    try:
        test = read_test_result(paths.winner)
    except ResultsError:
        return f"{TEST_FILE} is damaged"
    if test is not None:
        mark = AFTER_TEST if test.selected_after_test else ""
        return f"test accuracy {percent(test.accuracy)}{mark}"
    if not paths.winner.is_dir():
        return MISSING
    try:
        return "retrained" + (
            AFTER_TEST if read_model_card(paths.winner).selected_after_test else ""
        )
    except ResultsError:
        return "retrained"
