"""Trackers beside a running search, each in its own thread, so that none can delay the search.

The search's thread only enqueues the latest record of a trial. The queue thus holds at most one
record per trial, which the journal keeps in memory anyway, however slow a server is.
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

Notify = Callable[[str], None]
TrackerFactory = Callable[[str, TrackedSearch], Tracker]

_UPDATE_THROTTLE = Throttle(min_interval_s=1.0, max_time_share=0.05, max_interval_s=30.0)
"""Pause between updates of a running search, by the CPU time of the tracker's thread."""
_DRAIN_TIMEOUT_S = 60.0
"""Longest wait for the trackers at the end of a search."""
_NOTICE_DELAY_S = 2.0


@contextlib.contextmanager
def tracking(
    search: TrackedSearch,
    tools: Sequence[str],
    journal: Journal,
    notify: Notify,
    create: TrackerFactory = make_tracker,
) -> Iterator[TrackingObserver]:
    """Track a search within the context; on exit, wait until every tracker is up to date.

    Args:
        search: the search to track.
        tools: names of the trackers.
        journal: the journal of this session, open.
        notify: prints a message for the user; also called from other threads.
        create: makes a tracker by its name.
    """
    workers = [_Worker(tool, search, journal.records, notify, create) for tool in tools]
    observer = TrackingObserver(journal, workers)
    for worker in workers:
        worker.start()
    try:
        yield observer
    finally:
        observer.drain(notify)


class TrackingObserver(Observer):
    """Observer that forwards each change of a search to the trackers."""

    def __init__(self, journal: Journal, workers: Sequence[_Worker]) -> None:
        self._journal = journal
        self._workers = workers
        self._num_events_seen = len(journal.history)

    def on_epoch(self, record: TrialRecord) -> None:
        """Forward a finished epoch."""
        self._enqueue(record)

    def on_worker_lost(self, record: TrialRecord) -> None:
        """Forward the loss of a trial's process."""
        self._enqueue(record)

    def on_trial_end(self, record: TrialRecord) -> None:
        """Forward the end of a trial."""
        self._enqueue(record)

    def _enqueue(self, record: TrialRecord) -> None:
        """Enqueue a record, after those of trials that have started since the last event."""
        history = self._journal.history
        new, self._num_events_seen = history[self._num_events_seen :], len(history)
        for event in new:
            if isinstance(event, TrialStarted):
                self._enqueue_record(self._journal[event.trial_id])
        self._enqueue_record(record)

    def _enqueue_record(self, record: TrialRecord) -> None:
        for worker in self._workers:
            worker.enqueue(record)

    def drain(self, notify: Notify) -> None:
        """Wait until all trackers finish; Ctrl-C or the timeout ends the wait."""
        records = self._journal.records
        for worker in self._workers:
            worker.finish(records)
        started = time.monotonic()
        with contextlib.suppress(KeyboardInterrupt):
            _wait(self._workers, notify)
        for worker in self._workers:
            if worker.is_alive():
                worker.abandon()
                waited = round(time.monotonic() - started)
                notify(f"{worker.tool} did not finish within {waited} s; {worker.recovery_hint}")


def _wait(workers: Sequence[_Worker], notify: Notify) -> None:
    deadline = time.monotonic() + _DRAIN_TIMEOUT_S
    notified = False
    while running := [worker for worker in workers if worker.is_alive()]:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return
        running[0].join(min(_NOTICE_DELAY_S, remaining))
        if running[0].is_alive() and not notified:
            notified = True
            notify(f"sending the last trials to {', '.join(worker.tool for worker in running)} …")


class _Worker(threading.Thread):
    """Thread of one tracker; an exception is reported, and disables the tracker."""

    def __init__(
        self,
        tool: str,
        search: TrackedSearch,
        records: Sequence[TrialRecord],
        notify: Notify,
        create: TrackerFactory,
    ) -> None:
        super().__init__(name=f"tracking {tool}", daemon=True)
        self.tool = tool
        self._search = search
        self._records = records
        self._notify = notify
        self._create = create
        self._pending = {record.trial_id: record for record in records}
        self._lock = threading.Lock()
        self._has_updates = threading.Event()
        self._finished = threading.Event()
        self._abandoned = threading.Event()

    @property
    def recovery_hint(self) -> str:
        """Hint on how to export what this tracker has missed."""
        if self.tool == "optuna":
            return f"complete its study with: {self._search.paths.command('dashboard')}"
        return f"export later with: {self._search.export_command(self.tool)}"

    def enqueue(self, record: TrialRecord) -> None:
        """Enqueue a changed trial; takes a microsecond."""
        with self._lock:
            self._pending[record.trial_id] = record
        self._has_updates.set()

    def finish(self, records: Sequence[TrialRecord]) -> None:
        """Signal the end of the search, with its final records."""
        with self._lock:
            self._pending = {record.trial_id: record for record in records}
        self._records = records
        self._finished.set()
        self._has_updates.set()

    def abandon(self) -> None:
        """Report nothing from now on: nobody waits any more, and the output may be closed."""
        self._abandoned.set()

    def run(self) -> None:
        """Process pending records until the search is over."""
        try:
            tracker = self._create(self.tool, self._search)
            tracker.open(self._records)
            finished = False
            while not finished:
                # Read before the pending records: later ones then get another round.
                finished = self._finished.is_set()
                started = time.thread_time()
                update_tracker(tracker, self._take_pending())
                spent = time.thread_time() - started
                self._finished.wait(_UPDATE_THROTTLE.pause_s(spent))
                self._has_updates.wait()
            tracker.close(self._records)
        except Exception as error:  # no failure of a tool may end the search
            if not self._abandoned.is_set():
                self._notify(
                    f"{self.tool} was disabled: {summarize_error(error)}; {self.recovery_hint}"
                )

    def _take_pending(self) -> list[TrialRecord]:
        self._has_updates.clear()
        if self._finished.is_set():
            self._has_updates.set()
        with self._lock:
            taken, self._pending = self._pending, {}
        return list(taken.values())


def update_tracker(tracker: Tracker, records: Sequence[TrialRecord]) -> None:
    """Update a tracker with some records, in the order of the trials."""
    for record in sorted(records, key=lambda record: int(record.trial_id)):
        tracker.update(record)
    tracker.flush()


def summarize_error(error: Exception) -> str:
    """Return a third-party error as one line for the user."""
    lines = str(error).strip().splitlines() or [""]
    return printable(f"{type(error).__name__}: {lines[0]}"[:300])
