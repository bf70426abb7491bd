"""Where a search's trials come from: a sampler, or the plan of a re-evaluation."""

from __future__ import annotations

from typing import Protocol

from handsigns.results.trial import TrialRecord, TrialSpec


class TrialSource(Protocol):
    """Decides which trials are trained."""

    @property
    def remaining(self) -> int:
        """How many more trials it suggests, at most."""

    def suggest(self) -> TrialSpec | None:
        """Return a new trial; None where none is left."""

    def finish(self, record: TrialRecord) -> None:
        """Learn how a trial ended."""

    def owns(self, trial_id: str) -> bool:
        """Return whether an unfinished trial of an earlier session is to be resumed."""
