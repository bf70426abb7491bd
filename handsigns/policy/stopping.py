"""Stopping criteria of a search: time budget, target, patience, failures, or an interrupt."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

from handsigns.config.search import SearchConfig
from handsigns.console.failure import parse_failure
from handsigns.console.format import format_duration, pluralize
from handsigns.io.remedies import os_error_remedy
from handsigns.metrics import SCORE_TOLERANCE, EpochMetrics
from handsigns.policy.improvement import (
    AUTO_PATIENCE_CHANCE,
    AUTO_PATIENCE_SHARE,
    AUTO_PATIENCE_TRIALS,
    describe_improvement,
    improvement_probability,
)
from handsigns.results.observer import Observer
from handsigns.results.statistics import WinnerChanges, winner_changes
from handsigns.results.store import StoredSearch
from handsigns.results.trial import Conclusion, TrialRecord, rank_key

ALL_DONE = "all trials are done"
"""Reason for which a search ends once its trials are."""
EXHAUSTED = "the search space is exhausted"
"""Reason for which it ends before, as every configuration was tried."""
_MAX_FIRST_FAILURES, _MAX_LATER_FAILURES = 10, 30
"""Numbers of trials in a row that fail with the same error and end a search: while all trials have
failed, and later, where what fails may be a region of the space."""


def describe_outlook(search: StoredSearch) -> str:
    """Return the chance that the search would find a better winner if it continued.

    Empty if it is unknown, or every configuration was tried.
    """
    journal, size = search.journal, search.config.space.size()
    if journal.stop_reason == EXHAUSTED or (size is not None and len(journal) >= size):
        return ""
    changes = winner_changes(journal, search.config.objective)
    return describe_improvement(changes.seconds, journal.elapsed)


class StoppingCriteria(Observer):
    """Observer that decides when, and why, the search stops.

    Args:
        search_config: resolved configuration of the search.
        outcomes: trials that paused or ended in earlier sessions, by time.
        elapsed: seconds that earlier sessions took.
        conclusion: when the search last stopped by its own criteria; patience and failures are
            counted anew for a search that is extended later. None if it never did.
        winner_changes: changes of the best completed trial in earlier sessions.
        clock: monotonic clock in seconds, independent of sleep and clock changes.
    """

    def __init__(
        self,
        search_config: SearchConfig,
        outcomes: Sequence[TrialRecord] = (),
        elapsed: float = 0.0,
        conclusion: Conclusion | None = None,
        winner_changes: WinnerChanges | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = search_config
        self._clock = clock
        self.previous_elapsed = elapsed
        """Seconds that earlier sessions took."""
        self._start_time = clock()
        self._latest: dict[str, TrialRecord] = {}
        """Record of each trial when it last paused or ended."""
        self._best: TrialRecord | None = None
        """Best of these."""
        self.winner_changes = winner_changes or WinnerChanges(search_config.objective)
        """Changes of the best completed trial, over all sessions."""
        self._trials_without_improvement: set[str] = set()
        self._all_failed = True
        self._failure = ""
        """Error of the latest trial; empty if it did not fail."""
        self._num_equal_failures = 0
        """Number of the latest trials, in a row, that failed with that error."""
        self.reason: str | None = None
        """Reason why the search stops, for the user; None while it continues."""
        self.interrupted = False
        """Whether the user interrupted the search."""
        self.fatal_error: str | None = None
        """Error that prevents writing results; None if there is none."""
        self.remedy = ""
        """Remedy for that error, if known."""
        num_concluded = conclusion.num_outcomes if conclusion else 0
        self._auto_patience_from = (
            conclusion.elapsed * (1 + AUTO_PATIENCE_SHARE) if conclusion else 0.0
        )
        for number, record in enumerate(outcomes, 1):
            self._update_best(record)
            if number == num_concluded:
                self._trials_without_improvement.clear()
            elif number > num_concluded:
                self._check_failures(record)
        self._check_patience()

    @property
    def session_seconds(self) -> float:
        """Seconds since this session started."""
        return self._clock() - self._start_time

    def elapsed(self) -> float:
        """Return the seconds elapsed over all sessions."""
        return self.previous_elapsed + self.session_seconds

    @property
    def remaining_seconds(self) -> float | None:
        """Seconds remaining of the time budget; None if there is none."""
        budget = self._config.budget.time_budget
        return None if budget is None else max(0.0, budget - self.elapsed())

    def interrupt(self) -> None:
        """Stop the search at the user's request, unless it stops already for another reason."""
        if self.reason is None:
            self.interrupted = True
            self.reason = "interrupted by the user"

    def abort(self, problem: str, remedy: str = "") -> None:
        """Stop the search because results cannot be written, before more training is lost."""
        if self.fatal_error is None:
            self.fatal_error, self.remedy = problem, remedy
        self.reason = "results cannot be written"

    @contextlib.contextmanager
    def abort_on_write_error(self) -> Iterator[None]:
        """Abort the search on an OSError within the context, such as a full disk."""
        try:
            yield
        except OSError as error:
            self.abort(str(error), os_error_remedy(error))

    def should_stop(self) -> bool:
        """Return whether to stop now."""
        if self.reason is None and self.remaining_seconds == 0.0:
            self.reason = "the time budget is exhausted"
        return self.reason is not None

    def on_epoch(self, record: TrialRecord) -> None:
        """Check whether the target is reached."""
        if record.last_epoch is not None:
            self.check_target(record.trial_id, record.last_epoch)

    def check_target(self, trial_id: str, metrics: EpochMetrics) -> None:
        """Check whether an epoch, of this session or an earlier one, reached the target."""
        target = self._config.budget.target
        if self.reason is not None or target is None:
            return
        if self._config.objective.score_of(metrics) >= target - SCORE_TOLERANCE:
            self.reason = f"trial {trial_id} reached the target of {target:.2%}"

    def on_trial_pause(self, record: TrialRecord) -> None:
        """Check whether the patience is exhausted."""
        self._add_outcome(record)

    def on_trial_end(self, record: TrialRecord) -> None:
        """Check whether the patience is exhausted, or too many trials fail with the same error."""
        self.winner_changes.add(record, self.elapsed())
        self._add_outcome(record)

    def _add_outcome(self, record: TrialRecord) -> None:
        self._update_best(record)
        self._check_patience()
        self._check_failures(record)

    def _update_best(self, record: TrialRecord) -> None:
        self._latest[record.trial_id] = record
        if self._best is None or self._rank_key(record) < self._rank_key(self._best):
            self._best = record
            self._trials_without_improvement.clear()
            return
        self._trials_without_improvement.add(record.trial_id)
        if record.trial_id == self._best.trial_id:  # it became worse after a pause
            self._best = min(self._latest.values(), key=self._rank_key)

    def _rank_key(self, record: TrialRecord) -> tuple[int, float, float, str]:
        return rank_key(record, self._config.objective)

    def _check_failures(self, record: TrialRecord) -> None:
        if record.status != "failed":
            self._all_failed, self._failure, self._num_equal_failures = False, "", 0
            return
        error = str(parse_failure(record.error))
        self._num_equal_failures = 1 + (self._num_equal_failures if error == self._failure else 0)
        self._failure = error
        limit = _MAX_FIRST_FAILURES if self._all_failed else _MAX_LATER_FAILURES
        if self.reason is None and self._num_equal_failures >= limit:
            count = pluralize(self._num_equal_failures, "trial")
            self.reason = f"{count} in a row failed with the same error"

    def _check_patience(self) -> None:
        patience = self._config.budget.patience
        if self.reason is not None or patience is None:
            return
        if patience == "auto":
            too_few = self.winner_changes.num_completed < AUTO_PATIENCE_TRIALS
            if too_few or self.elapsed() < self._auto_patience_from:
                return
            extra = AUTO_PATIENCE_SHARE * self.elapsed()
            chance = improvement_probability(self.winner_changes.seconds, self.elapsed(), extra)
            if chance is not None and chance < AUTO_PATIENCE_CHANCE:
                self.reason = (
                    f"a better winner is unlikely ({chance:.0%} in {format_duration(extra)})"
                )
        elif len(self._trials_without_improvement) >= patience:
            self.reason = f"no improvement in {pluralize(patience, 'trial')}"
