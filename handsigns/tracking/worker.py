"""Trackers beside a running search: each in a thread of its own, so that none can hold it up.

The search's thread only puts down the latest record of a trial. What waits is thus at most one
record a trial, which the journal keeps in memory in any case, however slow a server is.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from handsigns.console.sanitize import printable
from handsigns.io.throttle import Throttle
from handsigns.results.events import TrialStarted
from handsigns.results.journal import Journal
from handsigns.results.observer import Observer
from handsigns.results.trial import TrialRecord
from handsigns.tracking.base import TrackedSearch, Tracker
from handsigns.tracking.registry import make_tracker

Say = Callable[[str], None]
MakeTracker = Callable[[str, TrackedSearch], Tracker]

_HANDING_ON = Throttle(interval_s=1.0, share=0.05, longest_s=30.0)
"""While the search runs, by the CPU time of a tracker's thread."""
_DRAIN_SECONDS = 60.0
"""The search's end waits at most so long for its trackers."""
_PROGRESS_SECONDS = 2.0


@contextlib.contextmanager
def tracking(
    search: TrackedSearch,
    tools: Sequence[str],
    journal: Journal,
    say: Say,
    make: MakeTracker = make_tracker,
) -> Iterator[Tracking]:
    """Track a search for as long as this lasts; at the end, wait until all have got everything.

    Args:
        tools: names of the trackers.
        journal: of this session, already open.
        say: prints a message for the user; called from other threads, too.
    """
    workers = [_Worker(tool, search, journal.records, say, make) for tool in tools]
    observer = Tracking(journal, workers)
    for worker in workers:
        worker.start()
    try:
        yield observer
    finally:
        observer.drain(say)


class Tracking(Observer):
    """Watches a search and hands each change on."""

    def __init__(self, journal: Journal, workers: Sequence[_Worker]) -> None:
        self._journal = journal
        self._workers = workers
        self._seen = len(journal.history)

    def on_epoch(self, record: TrialRecord) -> None:
        """Hand on a finished epoch."""
        self._put(record)

    def on_worker_lost(self, record: TrialRecord) -> None:
        """Hand on that a trial's process died."""
        self._put(record)

    def on_trial_end(self, record: TrialRecord) -> None:
        """Hand on the end of a trial."""
        self._put(record)

    def _put(self, record: TrialRecord) -> None:
        """Hand on a record, after those of trials that have begun since and have not reported."""
        history = self._journal.history
        new, self._seen = history[self._seen :], len(history)
        for event in new:
            if isinstance(event, TrialStarted):
                self._hand_on(self._journal[event.trial_id])
        self._hand_on(record)

    def _hand_on(self, record: TrialRecord) -> None:
        for worker in self._workers:
            worker.put(record)

    def drain(self, say: Say) -> None:
        """Let all of them finish; Ctrl-C, or the time allowed, ends the waiting."""
        records = self._journal.records
        for worker in self._workers:
            worker.finish(records)
        begun = time.monotonic()
        with contextlib.suppress(KeyboardInterrupt):
            _wait(self._workers, say)
        for worker in self._workers:
            if worker.is_alive():
                waited = round(time.monotonic() - begun)
                say(f"{worker.tool} has not got everything within {waited} s; {worker.remedy}")


def _wait(workers: Sequence[_Worker], say: Say) -> None:
    deadline = time.monotonic() + _DRAIN_SECONDS
    told = False
    while running := [worker for worker in workers if worker.is_alive()]:
        left = deadline - time.monotonic()
        if left <= 0:
            return
        running[0].join(min(_PROGRESS_SECONDS, left))
        if running[0].is_alive() and not told:
            told = True
            say(f"handing the last trials to {', '.join(worker.tool for worker in running)} …")


class _Worker(threading.Thread):
    """Runs one tracker; if that raises anything, it is told and not called again."""

    def __init__(
        self,
        tool: str,
        search: TrackedSearch,
        records: Sequence[TrialRecord],
        say: Say,
        make: MakeTracker,
    ) -> None:
        super().__init__(name=f"tracking {tool}", daemon=True)
        self.tool = tool
        self._search = search
        self._records = records
        self._say = say
        self._make = make
        self._waiting = {record.trial_id: record for record in records}
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._over = threading.Event()

    @property
    def remedy(self) -> str:
        """How the user makes up for what this tracker has missed."""
        if self.tool == "optuna":
            return f"its study is made whole by: {self._search.paths.command('dashboard')}"
        return f"hand it on later: {self._search.paths.command('track', '--to', self.tool)}"

    def put(self, record: TrialRecord) -> None:
        """Something changed in a trial. Takes a microsecond."""
        with self._lock:
            self._waiting[record.trial_id] = record
        self._news.set()

    def finish(self, records: Sequence[TrialRecord]) -> None:
        """The search has ended with these."""
        with self._lock:
            self._waiting = {record.trial_id: record for record in records}
        self._records = records
        self._over.set()
        self._news.set()

    def run(self) -> None:
        """Hand on what waits, again and again, until the search is over."""
        try:
            tracker = self._make(self.tool, self._search)
            tracker.open(self._records)
            over = False
            while not over:
                over = self._over.is_set()  # looked at first: what comes later comes round again
                begun = time.thread_time()
                hand_on(tracker, self._take())
                spent = time.thread_time() - begun
                self._over.wait(_HANDING_ON.pause_s(spent))
                self._news.wait()
            tracker.close(self._records)
        except Exception as error:  # a tool's trouble, of whatever kind, is not the search's
            self._say(f"{self.tool} was switched off: {in_short(error)}; {self.remedy}")

    def _take(self) -> list[TrialRecord]:
        self._news.clear()
        if self._over.is_set():
            self._news.set()
        with self._lock:
            taken, self._waiting = self._waiting, {}
        return list(taken.values())


def hand_on(tracker: Tracker, records: Sequence[TrialRecord]) -> None:
    """Bring a tracker up to date with some records."""
    for record in sorted(records, key=lambda record: int(record.trial_id)):
        tracker.update(record)
    tracker.flush()


def in_short(error: Exception) -> str:
    """A foreign error for the user, in a line."""
    lines = str(error).strip().splitlines() or [""]
    return printable(f"{type(error).__name__}: {lines[0]}"[:300])
