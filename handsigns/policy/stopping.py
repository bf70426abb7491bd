"""When a search ends: its time, its target, its patience, or the user's wish."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

from handsigns.config.search import StudyConfig
from handsigns.console.format import counted
from handsigns.io.remedies import remedy_for
from handsigns.results.observer import Observer
from handsigns.results.trial import TrialRecord, rank_key


class StoppingCriteria(Observer):
    """Watches the trials and says when, and why, the search is to end.

    Args:
        study: the search, resolved.
        ended: trials that ended in earlier sessions, in the order they did.
        elapsed: seconds the search ran in earlier sessions.
        concluded: how many of `ended` had ended when the search last came to an end of its own;
            a search that is resumed after that has its patience anew.
        clock: monotonic seconds; machine sleep and clock changes do not count.
    """

    def __init__(
        self,
        study: StudyConfig,
        ended: Sequence[TrialRecord] = (),
        elapsed: float = 0.0,
        concluded: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study = study
        self._clock = clock
        self.elapsed_before = elapsed
        """Seconds of earlier sessions."""
        self._begun = clock()
        self._best: TrialRecord | None = None
        self._without_gain = 0
        self.reason: str | None = None
        """Why the search is to end, for the user; None while it continues."""
        self.interrupted = False
        """Whether the user interrupted the search."""
        self.fatal_error: str | None = None
        """Why results can no longer be written; None while they can."""
        self.remedy = ""
        """What can be done about that, as far as it is known."""
        for number, record in enumerate(ended, 1):
            self._compare(record)
            if number == concluded:
                self._without_gain = 0
        self._check_patience()

    @property
    def session_seconds(self) -> float:
        """Seconds of this session."""
        return self._clock() - self._begun

    def elapsed(self) -> float:
        """Return the seconds that the search has run, over all sessions."""
        return self.elapsed_before + self.session_seconds

    @property
    def seconds_left(self) -> float | None:
        """Of the time budget; None where there is none."""
        budget = self._study.budget.time_budget
        return None if budget is None else max(0.0, budget - self.elapsed())

    def interrupt(self) -> None:
        """End the search, as the user wants it."""
        self.interrupted = True
        self.reason = "it was interrupted"

    def abort(self, problem: str, remedy: str = "") -> None:
        """End the search, as results cannot be written: nothing is trained that would be lost."""
        if self.fatal_error is None:
            self.fatal_error, self.remedy = problem, remedy
        self.reason = "results cannot be written"

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Abort the search where what is done within this cannot write its results."""
        try:
            yield
        except OSError as error:
            self.abort(str(error), remedy_for(error))

    def should_stop(self) -> bool:
        """Return whether to end now."""
        if self.reason is None and self.seconds_left == 0.0:
            self.reason = "the time budget is used up"
        return self.reason is not None

    def on_epoch(self, record: TrialRecord) -> None:
        """Check the target."""
        target = self._study.budget.target
        last = record.last
        if self.reason is None and target is not None and last and last.val_accuracy >= target:
            self.reason = f"trial {record.trial_id} reached the target of {target:.2%}"

    def on_trial_end(self, record: TrialRecord) -> None:
        """Check the patience."""
        self._compare(record)
        self._check_patience()

    def _compare(self, record: TrialRecord) -> None:
        objective = self._study.objective
        if self._best is None or rank_key(record, objective) < rank_key(self._best, objective):
            self._best, self._without_gain = record, 0
        else:
            self._without_gain += 1

    def _check_patience(self) -> None:
        patience = self._study.budget.patience
        if self.reason is None and patience is not None and self._without_gain >= patience:
            self.reason = f"{counted(patience, 'trial')} in a row brought no better one"
