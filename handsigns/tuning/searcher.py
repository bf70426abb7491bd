"""Adapters of trial source and stopping criteria to Ray Tune's Searcher and Stopper."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from ray.tune import Stopper
from ray.tune.search import Searcher

from handsigns.policy.source import TrialSource, next_trial
from handsigns.policy.stopping import StoppingCriteria
from handsigns.policy.stopping_rule import StoppingRule
from handsigns.results.journal import Journal
from handsigns.results.trial import TrialSpec
from handsigns.tuning.not_pickled import NotPickled


class JournalSearcher(NotPickled, Searcher):  # type: ignore[misc]
    """Searcher that suggests unfinished trials first, then promoted and new ones.

    It records each start in the journal.

    Args:
        source: suggests new trials.
        rule: promotes paused trials.
        journal: journal in which starts are recorded.
        stopping: criteria that end the search, also when the journal cannot be written.
        to_resume: IDs of the trials of earlier sessions to resume.
        capacity: returns how many trials can run concurrently.
    """

    def __init__(
        self,
        source: TrialSource,
        rule: StoppingRule,
        journal: Journal,
        stopping: StoppingCriteria,
        to_resume: Iterable[str],
        capacity: Callable[[], int],
    ) -> None:
        super().__init__()
        self._source = source
        self._rule = rule
        self._journal = journal
        self._stopping = stopping
        self._to_resume = deque(to_resume)
        self._capacity = capacity
        self._running: set[str] = set()
        self._suggested: set[str] = set()

    def requeue(self, trial_id: str) -> None:
        """Queue a trial that lost its process, ahead of new ones."""
        self._to_resume.append(trial_id)

    def free_workers(self) -> int:
        """Return how many interrupted or new trials could start now.

        Promotions are not counted: few coincide, and Ray keeps one idle worker in any case.
        """
        if self._stopping.reason is not None:
            return 0
        remaining = len(self._to_resume) + self._source.remaining
        return max(0, min(remaining, self._capacity() - len(self._running)))

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next trial for Ray; `trial_id` is Ray's and differs from ours."""
        if self._stopping.should_stop():
            return str(Searcher.FINISHED)
        if len(self._running) >= self._capacity():
            return None
        spec = self._record_next()
        if self._stopping.fatal_error is not None:
            return str(Searcher.FINISHED)
        if spec is None:
            # A trial that still runs may have to be retried, or let another one be promoted.
            done = all(self._journal[trial_id].ended_at is not None for trial_id in self._suggested)
            return str(Searcher.FINISHED) if done else None
        self._suggested.add(spec.trial_id)
        self._running.add(trial_id)
        return spec.to_dict()

    def _record_next(self) -> TrialSpec | None:
        """Return the next trial, after recording its start."""
        trial: TrialSpec | str | None
        if self._to_resume:
            trial = self._to_resume.popleft()
        else:
            trial = next_trial(self._source, self._rule, self._stopping.remaining_seconds)
        if trial is None:
            return None
        with self._stopping.abort_on_write_error():
            if isinstance(trial, str):
                self._journal.resume_trial(trial)
            else:
                self._journal.start_trial(trial)
        return self._journal[trial].spec if isinstance(trial, str) else trial

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Mark the worker as free; `JournalCallback` notifies the source."""
        self._running.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the journal is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: the journal is the state."""


class SearchStopper(NotPickled, Stopper):  # type: ignore[misc]
    """Stopper of the whole search; single trials are stopped by the scheduler."""

    def __init__(self, stopping: StoppingCriteria) -> None:
        self._stopping = stopping

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return False: no single trial is stopped here."""
        return False

    def stop_all(self) -> bool:
        """Return whether to stop the search now."""
        return self._stopping.should_stop()
