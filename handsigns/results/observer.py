"""Observer interface for a running search: display, trackers, stopping criteria."""

from __future__ import annotations

from handsigns.results.trial import TrialRecord


class Observer:
    """Receiver of trial events; each method does nothing unless overridden."""

    def on_trial_start(self, record: TrialRecord) -> None:
        """Handle the start of a trial's process, also of one that is retried."""

    def on_epoch(self, record: TrialRecord) -> None:
        """Handle a finished epoch."""

    def on_trial_pause(self, record: TrialRecord) -> None:
        """Handle the pause of a trial, after `on_epoch` of its latest epoch."""

    def on_note(self, trial_id: str, note: str) -> None:
        """Handle a notice from a trial that the user should see."""

    def on_worker_lost(self, record: TrialRecord) -> None:
        """Handle the death of a trial's process; the trial will be retried in another."""

    def on_trial_end(self, record: TrialRecord) -> None:
        """Handle the end of a trial."""
