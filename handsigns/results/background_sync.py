"""Copying a search to or from its storage in the background, while it runs or is looked at."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from handsigns.errors import ResultsError
from handsigns.io.throttle import Throttle
from handsigns.results.paths import SearchPaths
from handsigns.results.sync import LEASE_S, Mirror, known_mirror, run_elsewhere

_COPYING = Throttle(interval_s=10.0, share=0.02, longest_s=LEASE_S / 4)
"""While a search runs; its driver's time is for its trials."""


@contextlib.contextmanager
def kept_up(
    mirror: Mirror | None, say: Callable[[str], None], lost: Callable[[str], None]
) -> Iterator[None]:
    """Copy what changes while a search is run, and that it is being run.

    Args:
        mirror: of the search; None where there is no copy.
        say: tells the user of trouble that may pass; the copying is tried again.
        lost: ends the search, as another machine runs it now.

    Raises:
        ResultsError: it is being run elsewhere, or the copy was changed there.
        OSError: the storage cannot be written.
    """
    if mirror is None:
        yield
        return
    mirror.push(running=True)

    def copy() -> str | None:
        try:
            mirror.push(running=True)
        except ResultsError as error:
            lost(str(error))
            return None
        except OSError as error:
            return f"the copy in the storage is behind: {error}"
        return ""

    try:
        with _meanwhile(copy, say):
            yield
    finally:
        try:
            mirror.push()
        except (OSError, ResultsError) as error:  # the end of the command tries again, and tells
            say(f"the copy in the storage is behind: {error}")


@contextlib.contextmanager
def kept_fresh(paths: SearchPaths, say: Callable[[str], None]) -> Iterator[None]:
    """Bring here what another machine that runs a search writes, while it is looked at.

    Args:
        paths: of the search.
        say: tells the user that what is shown may be old, and why.
    """
    mirror = known_mirror(paths) if run_elsewhere(paths) else None
    if mirror is None:
        yield
        return

    def fetch() -> str:
        try:
            mirror.fetch()
        except (OSError, ResultsError) as error:
            with contextlib.suppress(OSError):  # whom we do not hear is not therefore silent
                paths.copied.touch()
            return f"what is shown may be old: {error}"
        return ""

    with _meanwhile(fetch, say):
        yield


@contextlib.contextmanager
def _meanwhile(work: Callable[[], str | None], say: Callable[[str], None]) -> Iterator[None]:
    """Do something now and then, in a thread.

    Args:
        work: returns what went wrong, in words; empty for nothing, None to be done no more.
        say: is told what went wrong, once for as long as it stays the same.
    """
    over = threading.Event()

    def again_and_again() -> None:
        pause, told = _COPYING.pause_s(0.0), ""
        while not over.wait(pause):
            begun = time.monotonic()
            trouble = work()
            if trouble is None:
                return
            if trouble and trouble != told:
                say(trouble)
            told = trouble
            pause = _COPYING.pause_s(time.monotonic() - begun)

    working = threading.Thread(target=again_and_again, daemon=True)
    working.start()
    try:
        yield
    finally:
        over.set()
        working.join()
