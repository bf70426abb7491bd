"""Whoever watches a search as it runs: the display, the trackers, the stopping criteria."""

from __future__ import annotations

from handsigns.results.trial import TrialRecord


class Observer:
    """Is notified of what happens to trials; each method does nothing unless it is overridden."""

    def on_epoch(self, record: TrialRecord) -> None:
        """Handle a finished epoch."""

    def on_note(self, trial_id: str, note: str) -> None:
        """Handle something that a trial met and the user should know of."""

    def on_worker_lost(self, record: TrialRecord) -> None:
        """Handle the death of a trial's process; the trial will be retried in another."""

    def on_trial_end(self, record: TrialRecord) -> None:
        """Handle the end of a trial."""
