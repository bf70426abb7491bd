"""Interface of trial sources, such as a sampler, and the trial that a free worker trains."""

from __future__ import annotations

from typing import Protocol

from handsigns.policy.stopping_rule import StoppingRule
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


def next_trial(
    source: TrialSource, rule: StoppingRule, remaining_seconds: float | None
) -> TrialSpec | str | None:
    """Return what a free worker trains, once no interrupted trial waits to be resumed.

    Args:
        source: source of new trials.
        rule: early-stopping rule, which promotes paused trials.
        remaining_seconds: seconds left of the search's time budget; None without one.

    Returns:
        The ID of a promoted trial or else a new trial; None if there is neither.
    """

    def promote() -> str | None:
        return rule.next_promotion(
            can_start=source.remaining > 0, remaining_seconds=remaining_seconds
        )

    # In `suggest` the space may have proved to be exhausted, which lets more trials be promoted.
    return promote() or source.suggest() or promote()
