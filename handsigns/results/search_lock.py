"""Lock of a search: one process runs it at a time, on this machine or another."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from handsigns.console.sanitize import printable
from handsigns.errors import ResultsError
from handsigns.io import lock
from handsigns.results.paths import SearchPaths
from handsigns.results.remote_copies import running_elsewhere


@contextlib.contextmanager
def search_lock(paths: SearchPaths) -> Iterator[None]:
    """Lock a search for this process; the lock ends with the process, even if it is killed.

    Raises:
        ResultsError: another process holds the lock, or the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock.try_lock(paths.lock))
        except lock.LockedError as error:
            raise ResultsError(
                f"{paths.name} is being run by {printable(str(error))}; wait for it to finish"
            ) from error
        except OSError as error:
            raise ResultsError(
                f"{paths.root} cannot be written: {error.strerror}; make it writable, or copy it "
                f"to a writable location (and pass that as --results)"
            ) from error
        yield


def lock_owner(paths: SearchPaths) -> str:
    """Return which process runs a search, for messages; empty if none does."""
    return printable(lock.lock_owner(paths.lock)) or running_elsewhere(paths)
