"""Savings of early stopping: epochs that trials were not trained for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from handsigns.results.trial import TrialRecord


@dataclass(frozen=True)
class EarlyStoppingSavings:
    """Epochs trained, and epochs saved by early stopping.

    Attributes:
        trained_epochs: epochs trained by all trials.
        saved_epochs: epochs that the paused and stopped trials had left.
        max_epochs_total: epochs of all completed, paused and stopped trials without early stopping.
    """

    trained_epochs: int
    saved_epochs: int
    max_epochs_total: int

    @property
    def fraction(self) -> float:
        """`saved_epochs` as a fraction of `max_epochs_total`."""
        return self.saved_epochs / self.max_epochs_total if self.max_epochs_total else 0.0


_NO_SAVINGS = EarlyStoppingSavings(0, 0, 0)


class SavingsCounter:
    """Savings of early stopping, updated trial by trial at a cost independent of their number.

    Args:
        records: trials so far.
        max_epochs: epochs of a completed trial.
    """

    def __init__(self, records: Iterable[TrialRecord], max_epochs: int) -> None:
        self._max_epochs = max_epochs
        self._by_trial: dict[str, EarlyStoppingSavings] = {}
        self.total = _NO_SAVINGS
        """Savings of all trials, as of their latest update."""
        for record in records:
            self.update(record)

    def update(self, record: TrialRecord) -> None:
        """Take the latest record of a trial into account, in place of its earlier one."""
        trained = len(record.epochs)
        if record.status in ("completed", "paused", "stopped"):
            new = EarlyStoppingSavings(trained, self._max_epochs - trained, self._max_epochs)
        else:
            new = EarlyStoppingSavings(trained, 0, 0)
        old = self._by_trial.get(record.trial_id, _NO_SAVINGS)
        self._by_trial[record.trial_id] = new
        self.total = EarlyStoppingSavings(
            self.total.trained_epochs + new.trained_epochs - old.trained_epochs,
            self.total.saved_epochs + new.saved_epochs - old.saved_epochs,
            self.total.max_epochs_total + new.max_epochs_total - old.max_epochs_total,
        )


def early_stopping_savings(records: Iterable[TrialRecord], max_epochs: int) -> EarlyStoppingSavings:
    """Return the savings of early stopping, from completed, paused and stopped trials."""
    return SavingsCounter(records, max_epochs).total
