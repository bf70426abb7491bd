"""Progress display of a search: number of trials, best result, time."""

from __future__ import annotations

from collections import Counter
from typing import TextIO

from rich.console import Group

from handsigns.config.search import SearchConfig
from handsigns.monitor.display import TrialDisplay
from handsigns.monitor.status import SearchStatus, describe_outcome
from handsigns.policy.stopping import StoppingCriteria
from handsigns.results.journal import Journal
from handsigns.results.savings import SavingsCounter
from handsigns.results.trial import Status, TrialRecord, rank_key


class SearchDisplay(TrialDisplay):
    """Display of a search, or of a re-evaluation; see `TrialDisplay`.

    Args:
        shows_chance: whether the chance of a better winner is shown; the runs of a re-evaluation
            are planned.
    """

    def __init__(
        self,
        terminal: TextIO,
        search_config: SearchConfig,
        journal: Journal,
        stopping: StoppingCriteria,
        *,
        shows_chance: bool = True,
    ) -> None:
        super().__init__(terminal, search_config, journal, stopping)
        self._shows_chance = shows_chance
        self._status_counts: Counter[Status] = Counter()
        self._paused = {r.trial_id for r in journal.records if r.status == "paused"}
        self._savings = SavingsCounter(journal.records, search_config.budget.max_epochs)
        self._best_terminal: TrialRecord | None = None
        for record in journal.records:
            if record.is_terminal:
                self._add_finished(record)
        self._num_finished_before = journal.num_finished
        self._best = min(journal.records, key=self._rank_key, default=None)

    @property
    def progress_line(self) -> str:
        """See `TrialDisplay`."""
        return self._status().progress_line

    def render(self) -> Group:
        """See `TrialDisplay`."""
        return Group(*self._status().lines())

    def describe_end(self, record: TrialRecord) -> str:
        """See `TrialDisplay`."""
        return f"trial {record.trial_id} {describe_outcome(record, self._config.objective)}"

    def on_epoch(self, record: TrialRecord) -> None:
        """Display a finished epoch."""
        if self._best is None or self._rank_key(record) < self._rank_key(self._best):
            self._best = record
        elif self._best.trial_id == record.trial_id:
            self._best = min(self._journal.records, key=self._rank_key)
        self._count(record)
        super().on_epoch(record)

    def on_trial_pause(self, record: TrialRecord) -> None:
        """Print that a trial has paused."""
        self._paused.add(record.trial_id)
        super().on_trial_pause(record)

    def on_trial_end(self, record: TrialRecord) -> None:
        """Print how a trial ended."""
        self._count(record)  # it may have failed before its next epoch
        self._add_finished(record)
        if self._best is not None and self._best.trial_id == record.trial_id:
            self._best = min(self._journal.records, key=self._rank_key)  # it may have diverged
        super().on_trial_end(record)

    def _rank_key(self, record: TrialRecord) -> tuple[int, float, float, str]:
        return rank_key(record, self._config.objective)

    def _count(self, record: TrialRecord) -> None:
        self._savings.update(record)
        self._paused.discard(record.trial_id)

    def _add_finished(self, record: TrialRecord) -> None:
        self._status_counts[record.status] += 1
        before = self._best_terminal
        if record.has_result and (
            before is None or self._rank_key(record) < self._rank_key(before)
        ):
            self._best_terminal = record

    def _status(self) -> SearchStatus:
        return SearchStatus(
            self._config,
            num_trials=len(self._journal),
            status_counts={**self._status_counts, "paused": len(self._paused)},
            savings=self._savings.total,
            best=self._best,
            elapsed=self._stopping.session_seconds,
            remaining=self._stopping.remaining_seconds,
            best_terminal=self._best_terminal,
            elapsed_before=self._stopping.previous_elapsed,
            num_ended_before_session=self._num_finished_before,
            winner_changes=self._stopping.winner_changes.seconds if self._shows_chance else (),
        )
