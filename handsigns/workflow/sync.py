"""Keep a search's results folder and its copy in a storage in step."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.progress import progress
from handsigns.console.sanitize import printable
from handsigns.errors import ResourceError, ResultsError
from handsigns.io.storage import unusable
from handsigns.results.paths import SearchPaths

if TYPE_CHECKING:
    from handsigns.results.sync import Mirror


@contextlib.contextmanager
def synced(results: Path, name: str, storage: str | None = None) -> Iterator[SearchPaths]:
    """Pull a search's files from its storage first, and push what is new at the end.

    Args:
        results: folder of all searches.
        name: of the search.
        storage: location of its copy; None: the one that the folder remembers, if any.

    Raises:
        ConfigError: the storage cannot be one.
        ResultsError: there is no such search, or folder and copy have both changed.
    """
    paths = SearchPaths.named(results, name)
    pull(paths, storage)
    with pushed(paths):
        yield SearchPaths.existing(results, name)


@contextlib.contextmanager
def pushed(paths: SearchPaths) -> Iterator[None]:
    """Push what is new in a search's folder at the end, also after an error."""
    try:
        yield
    finally:
        push(paths)


def pull(paths: SearchPaths, storage: str | None = None) -> None:
    """Update a search's folder from its copy in a storage, where that is newer.

    Args:
        paths: of the search, which need not exist here yet where a storage is named.
        storage: see `synced`.

    Raises:
        ConfigError, ResultsError: see `synced`.
    """
    if storage is None and not paths.copied.exists():
        return

    from handsigns.results.sync import known_mirror, named_mirror

    known = known_mirror(paths)
    copy = named_mirror(paths, storage) if storage is not None else known
    if copy is None:
        return
    if known is not None and copy.place != known.place:
        raise ResultsError(
            f"{paths.root} is a copy of {known.place}, not of {copy.place}; to have that one, "
            f"name another folder (--results)"
        )
    try:
        with progress(f"looking into {copy.place}") as report:
            report(0, 1)
            copy.fetch()
            report(1, 1)
    except OSError as error:
        problem = unusable(copy.place.address, error)
        if known is None:
            raise ResultsError(problem) from error
        print(f"note: what is here may be old. {problem}", file=sys.stderr)


def push(paths: SearchPaths) -> None:
    """Update a search's copy in its storage, where it has one, from its folder."""
    if not paths.copied.exists():
        return

    from handsigns.results.store import holder
    from handsigns.results.sync import known_mirror

    mirror = known_mirror(paths)
    if mirror is None or holder(paths):  # the process that runs it updates the copy
        return
    try:
        mirror.push()
    except (OSError, ResultsError) as error:
        print(
            f"note: the copy in {mirror.place} is behind: {printable(str(error))}\nit is brought "
            f"up to date by the next command on {paths.name}",
            file=sys.stderr,
        )


def ensure_not_running_elsewhere(paths: SearchPaths) -> None:
    """Check that no other machine runs a search, before anything of it is changed.

    Raises:
        ResultsError: one does.
        ResourceError: its storage cannot be read.
    """
    from handsigns.results.sync import known_mirror

    mirror = known_mirror(paths)
    if mirror is not None:
        with _usable(mirror):
            mirror.refuse_running()


def ensure_name_free(paths: SearchPaths, storage: str | None = None) -> None:
    """Check that a name is free for a new search, here and in its storage.

    Raises:
        ResultsError: it is not.
        ResourceError: the storage cannot be read.
    """
    from handsigns.results.store import refuse_taken
    from handsigns.results.sync import named_mirror

    refuse_taken(paths)
    mirror = named_mirror(paths, storage) if storage is not None else None
    if mirror is not None:
        with _usable(mirror):
            mirror.refuse_taken()


@contextlib.contextmanager
def _usable(mirror: Mirror) -> Iterator[None]:
    """Report what to do where the storage of a copy cannot be read."""
    try:
        yield
    except OSError as error:
        raise ResourceError(unusable(mirror.place.address, error)) from error
