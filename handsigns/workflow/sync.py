"""Synchronisation of a search's results folder with its copy in shared storage."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.progress import progress
from handsigns.console.sanitize import printable
from handsigns.errors import ResourceError, ResultsError
from handsigns.io.storage import storage_error_message
from handsigns.results.paths import SearchPaths

if TYPE_CHECKING:
    from handsigns.results.sync import RemoteCopy


@contextlib.contextmanager
def synced_search_dir(
    results: Path, name: str, storage: str | None = None
) -> Iterator[SearchPaths]:
    """Pull a search's files from its storage, and push changes at the end.

    Args:
        results: folder of all searches.
        name: name of the search.
        storage: storage of its copy; None: the one recorded in the folder, if any.

    Raises:
        ConfigError: the storage is invalid.
        ResultsError: there is no such search, or folder and copy have diverged.
    """
    paths = SearchPaths.for_name(results, name)
    pull(paths, storage)
    with push_on_exit(paths):
        yield SearchPaths.existing(results, name)


@contextlib.contextmanager
def push_on_exit(paths: SearchPaths) -> Iterator[None]:
    """Push changes of a search's folder at the end, also after an error."""
    try:
        yield
    finally:
        push(paths)


def pull(paths: SearchPaths, storage: str | None = None) -> None:
    """Update a search's folder from its copy in shared storage if that is newer.

    Args:
        paths: paths of the search, which need not exist locally if a storage is given.
        storage: see `synced_search_dir`.

    Raises:
        ConfigError, ResultsError: see `synced_search_dir`.
    """
    if storage is None and not paths.sync_state.exists():
        return

    from handsigns.results.remote_copies import copy_in_storage, recorded_copy

    recorded = recorded_copy(paths)
    remote = copy_in_storage(paths, storage) if storage is not None else recorded
    if remote is None:
        return
    if recorded is not None and remote.storage != recorded.storage:
        raise ResultsError(
            f"{paths.root} is a copy of {recorded.storage}, not of {remote.storage}; to pull that "
            f"one, choose another folder (--results)"
        )
    try:
        with progress(f"pulling from {remote.storage}") as report:
            report(0, 1)
            remote.pull()
            report(1, 1)
    except OSError as error:
        problem = storage_error_message(remote.storage.uri, error)
        if recorded is None:
            raise ResultsError(problem) from error
        print(f"note: the local copy may be out of date. {problem}", file=sys.stderr)


def push(paths: SearchPaths) -> None:
    """Update a search's copy in its storage, if it has one, from its folder."""
    if not paths.sync_state.exists():
        return

    from handsigns.results.remote_copies import recorded_copy
    from handsigns.results.search_lock import lock_owner

    remote_copy = recorded_copy(paths)
    if remote_copy is None or lock_owner(paths):  # the process that runs it updates the copy
        return
    try:
        remote_copy.push()
    except (OSError, ResultsError) as error:
        print(
            f"note: the copy in {remote_copy.storage} is behind: {printable(str(error))}\n"
            f"the next command on {paths.name} will update it",
            file=sys.stderr,
        )


@contextlib.contextmanager
def exclusive_access(paths: SearchPaths) -> Iterator[None]:
    """Lock a search whose files are changed, and check that no other machine is running it.

    Raises:
        ResultsError: another process or machine is running it, or its folder cannot be written.
        ResourceError: the storage of its copy cannot be read.
    """
    from handsigns.results.remote_copies import recorded_copy
    from handsigns.results.search_lock import search_lock

    with search_lock(paths):
        remote_copy = recorded_copy(paths)
        if remote_copy is not None:
            with _storage_errors(remote_copy):
                remote_copy.ensure_not_running()
        yield


def ensure_name_free(paths: SearchPaths, storage: str | None = None) -> None:
    """Check that a name is free for a new search, locally and in its storage.

    Raises:
        ResultsError: the name is taken.
        ResourceError: the storage cannot be read.
    """
    from handsigns.results.remote_copies import copy_in_storage
    from handsigns.results.store import ensure_folder_free

    ensure_folder_free(paths)
    remote_copy = copy_in_storage(paths, storage) if storage is not None else None
    if remote_copy is not None:
        with _storage_errors(remote_copy):
            remote_copy.ensure_name_free()


@contextlib.contextmanager
def _storage_errors(remote_copy: RemoteCopy) -> Iterator[None]:
    """Report the remedy if the storage of a copy cannot be read."""
    try:
        yield
    except OSError as error:
        raise ResourceError(storage_error_message(remote_copy.storage.uri, error)) from error
