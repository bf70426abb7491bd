"""Savings of early stopping, counted trial by trial."""

from handsigns.results.savings import EarlyStoppingSavings, SavingsCounter, early_stopping_savings
from tests.support.records import make_record


def test_a_counter_follows_a_trial_through_pauses_to_completion():
    stopped = make_record("0000", [0.5] * 4, "stopped")
    counter = SavingsCounter([stopped, make_record("0001", [0.5] * 3, "running")], 9)
    assert counter.total == EarlyStoppingSavings(7, 5, 9)
    stages = (("paused", 3, 11), ("running", 4, 5), ("paused", 6, 8), ("completed", 9, 5))
    for status, trained, saved in stages:
        record = make_record("0001", [0.5] * trained, status)
        counter.update(record)
        counter.update(record)
        assert (counter.total.trained_epochs, counter.total.saved_epochs) == (4 + trained, saved)
        assert counter.total == early_stopping_savings([record, stopped], 9)
