"""Open stored searches: once for a command, and again only after the search has run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.format import MISSING, percent
from handsigns.errors import HandsignsError, ResultsError
from handsigns.results.paths import SearchPaths
from handsigns.workflow.sync import synced

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch


AFTER_TEST = " (picked by hand after a test)"
"""Marks an accuracy that is no honest estimate."""


@contextlib.contextmanager
def opened(results: Path, name: str, storage: str | None = None) -> Iterator[StoredSearch]:
    """Open a search, with its folder and its copy in a storage in step before and after.

    Args:
        results, name, storage: see `synced`.

    Raises:
        ConfigError, ResultsError: see `synced`; or its files are damaged.
    """
    with synced(results, name, storage) as paths:
        yield open_at(paths)


def open_named(results: Path, name: str) -> StoredSearch:
    """Open a search of the results folder as it is here.

    Raises:
        ConfigError, ResultsError: there is none of that name, or its files are damaged.
    """
    return open_at(SearchPaths.existing(results, name))


def open_at(paths: SearchPaths) -> StoredSearch:
    """Open the search in a folder.

    Raises:
        ConfigError, ResultsError: its files are damaged.
    """
    from handsigns.results.store import open_search

    return open_search(paths)


def reloaded(search: StoredSearch) -> StoredSearch:
    """Read a search again after it has run, as a new object."""
    return open_at(search.paths)


def open_all(results: Path) -> list[StoredSearch | tuple[str, HandsignsError]]:
    """Open all searches of a results folder; a damaged one is its name and the error."""
    found: list[StoredSearch | tuple[str, HandsignsError]] = []
    for paths in SearchPaths.all(results):
        try:
            found.append(open_at(paths))
        except HandsignsError as error:
            found.append((paths.name, error))
    return found


def winner_status(paths: SearchPaths) -> str:
    """Return how far the winner of a search has come, in words; a choice after a test is marked."""
    from handsigns.results.winner import TEST_FILE, read_card, read_test

    try:
        test = read_test(paths.winner)
    except ResultsError:
        return f"{TEST_FILE} is damaged"
    if test is not None:
        mark = AFTER_TEST if test.chosen_after_test else ""
        return f"test accuracy {percent(test.accuracy)}{mark}"
    if not paths.winner.is_dir():
        return MISSING
    try:
        return "retrained" + (AFTER_TEST if read_card(paths.winner).chosen_after_test else "")
    except ResultsError:
        return "retrained"
