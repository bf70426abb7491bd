"""Ray's view of a trial source: a Searcher that hands out trials, and when all are to end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from ray.tune import Stopper
from ray.tune.search import Searcher

from handsigns.policy.source import TrialSource
from handsigns.policy.stopping import StoppingCriteria
from handsigns.results.journal import Journal
from handsigns.results.trial import TrialSpec
from handsigns.tuning.not_pickled import NotPickled


class JournalSearcher(NotPickled, Searcher):  # type: ignore[misc]
    """Gives Ray the unfinished trials first, then new ones, and records each as it starts.

    Args:
        source: suggests new trials.
        journal: where trials are recorded.
        stopping: hears if that is no longer possible.
        unfinished: ids of trials of an earlier session to resume.
        capacity: returns how many trials can run at the same time.
    """

    def __init__(
        self,
        source: TrialSource,
        journal: Journal,
        stopping: StoppingCriteria,
        unfinished: Iterable[str],
        capacity: Callable[[], int],
    ) -> None:
        super().__init__()
        self._source = source
        self._journal = journal
        self._stopping = stopping
        self._unfinished = deque(unfinished)
        self._capacity = capacity
        self._live: set[str] = set()
        self._handed_out: set[str] = set()

    def requeue(self, trial_id: str) -> None:
        """Resume a trial that lost its process, before any new one."""
        self._unfinished.append(trial_id)

    def free_workers(self) -> int:
        """Return how many trials would be handed out now."""
        if self._stopping.reason is not None:
            return 0
        waiting = len(self._unfinished) + self._source.remaining
        return max(0, min(waiting, self._capacity() - len(self._live)))

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next trial for Ray; `trial_id` is Ray's own and not kept."""
        if self._stopping.should_stop():
            return str(Searcher.FINISHED)
        if len(self._live) >= self._capacity():
            return None
        spec = self._start_next()
        if self._stopping.fatal_error is not None:
            return str(Searcher.FINISHED)
        if spec is None:
            # As long as one runs it may have to be retried.
            done = all(self._journal[trial_id].ended for trial_id in self._handed_out)
            return str(Searcher.FINISHED) if done else None
        self._handed_out.add(spec.trial_id)
        self._live.add(trial_id)
        return spec.to_dict()

    def _start_next(self) -> TrialSpec | None:
        """Record the trial that is handed out next."""
        if self._unfinished:
            spec = self._journal[self._unfinished.popleft()].spec
            with self._stopping.writing():
                self._journal.resume(spec.trial_id)
            return spec
        new = self._source.suggest()
        if new is not None:
            with self._stopping.writing():
                self._journal.start(new)
        return new

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A worker is free; the recorder tells the source, from the journal's record."""
        self._live.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the journal is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: the journal is the state."""


class SearchStopper(NotPickled, Stopper):  # type: ignore[misc]
    """Ends all trials when the criteria say so; single trials are the scheduler's business."""

    def __init__(self, stopping: StoppingCriteria) -> None:
        self._stopping = stopping

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return that no single trial is stopped."""
        return False

    def stop_all(self) -> bool:
        """Return whether to end the search now."""
        return self._stopping.should_stop()
