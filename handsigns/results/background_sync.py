"""Background sync of a search with its storage, while it runs or is being viewed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from handsigns.errors import ResultsError
from handsigns.io.throttle import Throttle
from handsigns.results.paths import SearchPaths
from handsigns.results.remote_copies import recorded_copy, running_elsewhere
from handsigns.results.sync import LEASE_S, RemoteCopy

_SYNC_THROTTLE = Throttle(min_interval_s=10.0, max_time_share=0.02, max_interval_s=LEASE_S / 4)
"""Interval between syncs; syncs are rare, as they take the driver's time from the trials."""


@contextlib.contextmanager
def keep_synced(
    remote_copy: RemoteCopy | None, notify: Callable[[str], None], abort: Callable[[str], None]
) -> Iterator[None]:
    """Push changes, and renew the lease, while a search runs.

    Args:
        remote_copy: the search's copy; None if there is none.
        notify: prints a warning about a temporary problem; the push is retried.
        abort: aborts the search because another machine has taken it over.

    Raises:
        ResultsError: another machine runs the search, or the copy was changed there.
        OSError: the storage cannot be written.
    """
    if remote_copy is None:
        yield
        return
    remote_copy.push(running=True)

    def sync() -> str | None:
        try:
            remote_copy.push(running=True)
        except ResultsError as error:
            abort(str(error))
            return None
        except OSError as error:
            return f"the copy in the storage is out of date: {error}"
        return ""

    try:
        with _periodically(sync, notify):
            yield
    finally:
        try:
            remote_copy.push()
        except (OSError, ResultsError) as error:  # the command retries and warns at its end
            notify(f"the copy in the storage is out of date: {error}")


@contextlib.contextmanager
def follow_remote(paths: SearchPaths, notify: Callable[[str], None]) -> Iterator[None]:
    """Pull what another machine writes while it runs a search that is being viewed here.

    Args:
        paths: paths of the search.
        notify: warns that the display may be out of date, and why.
    """
    remote_copy = recorded_copy(paths) if running_elsewhere(paths) else None
    if remote_copy is None:
        yield
        return

    def fetch() -> str:
        try:
            remote_copy.pull()
        except (OSError, ResultsError) as error:
            with contextlib.suppress(OSError):  # unreachable storage does not expire the lease
                paths.sync_state.touch()
            return f"the display may be out of date: {error}"
        return ""

    with _periodically(fetch, notify):
        yield


@contextlib.contextmanager
def _periodically(work: Callable[[], str | None], notify: Callable[[str], None]) -> Iterator[None]:
    """Call a function periodically in a thread.

    Args:
        work: returns an error message; empty on success, None to end the thread.
        notify: receives each error message, without consecutive repetitions.
    """
    stop_event = threading.Event()

    def loop() -> None:
        pause, last_reported = _SYNC_THROTTLE.pause_s(0.0), ""
        while not stop_event.wait(pause):
            started = time.monotonic()
            problem = work()
            if problem is None:
                return
            if problem and problem != last_reported:
                notify(problem)
            last_reported = problem
            pause = _SYNC_THROTTLE.pause_s(time.monotonic() - started)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop_event.set()
        thread.join()
