"""Interface of trial sources: a sampler, or a plan of runs."""

from __future__ import annotations

from typing import Protocol

from handsigns.results.trial import TrialRecord, TrialSpec


class TrialSource(Protocol):
    """Source that suggests which trials to train."""

    @property
    def remaining(self) -> int:
        """Upper bound on the number of trials still to suggest."""

    def suggest(self) -> TrialSpec | None:
        """Return a new trial; None if there is none."""

    def on_trial_complete(self, record: TrialRecord) -> None:
        """Process the result of a trial."""

    def on_trial_pause(self, record: TrialRecord, epoch: int) -> None:
        """Process the values of a trial that was paused after an epoch."""

    def should_resume(self, trial_id: str) -> bool:
        """Return whether to resume an unfinished trial of an earlier session."""
