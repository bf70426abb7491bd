"""Interface of early-stopping rules: whether a trial continues, pauses or stops after an epoch."""

from __future__ import annotations

from typing import Protocol

from handsigns.metrics import EpochMetrics
from handsigns.results.trial import Action, Verdict


class StoppingRule(Protocol):
    """Rule that stops poor trials early, or pauses them until they may be promoted."""

    def decide(self, trial_id: str, metrics: EpochMetrics) -> tuple[Action, Verdict | None]:
        """Return what a trial does after an epoch, and the verdict if one was due."""

    def next_promotion(self, *, can_start: bool, remaining_seconds: float | None) -> str | None:
        """Return the paused trial that a free worker continues; None to start a new trial.

        Args:
            can_start: whether there are new trials to start.
            remaining_seconds: seconds left of the search's time budget; None without one.
        """

    def discard_paused(self, trial_id: str) -> None:
        """Note that a trial no longer waits: it was promoted, reported an epoch, or has ended."""

    def on_failure(self, trial_id: str) -> None:
        """Note that a trial has failed or diverged."""


class NoPromotion:
    """Part of a rule that never pauses a trial."""

    def next_promotion(self, *, can_start: bool, remaining_seconds: float | None) -> str | None:
        """Return None: no trial is paused."""
        return None

    def discard_paused(self, trial_id: str) -> None:
        """Do nothing: no trial is paused."""

    def on_failure(self, trial_id: str) -> None:
        """Do nothing: no other trial takes its place."""


class NoStopping(NoPromotion):
    """Rule that trains every trial to the end."""

    def decide(self, trial_id: str, metrics: EpochMetrics) -> tuple[Action, Verdict | None]:
        """See `StoppingRule`."""
        return "continue", None
