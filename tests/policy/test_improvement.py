"""Chance of a better winner: calibrated on processes of known rate."""

import numpy as np
import pytest

from handsigns.policy.improvement import (
    PRIOR_RATE,
    PRIOR_SHAPE,
    describe_improvement,
    improvement_probability,
)


def test_it_is_unknown_before_the_first_completed_trial():
    assert improvement_probability([], 60.0, 60.0) is None
    assert describe_improvement([], 60.0) == ""


def test_it_rises_with_time_and_falls_with_stagnation():
    chances = [improvement_probability([10.0, 20.0, 50.0], 100.0, extra) for extra in (10, 50, 100)]
    assert 0 < chances[0] < chances[1] < chances[2] < 1
    stagnant = improvement_probability([10.0, 20.0, 50.0], 1000.0, 1000.0)
    assert stagnant < improvement_probability([10.0, 20.0, 50.0], 100.0, 100.0)


def predicted_and_happened(rate_of):
    """Return how often winners were predicted to change, and did, at rates k/t that are drawn."""
    rng = np.random.default_rng(0)
    predicted, happened = [], []
    for _ in range(4000):
        rate, times, now = rate_of(rng), [1.0], 1.0
        while now < 200:
            now *= np.exp(rng.exponential(1 / rate))
            times.append(now)
        known = [time for time in times if time <= 50]
        predicted.append(improvement_probability(known, 50.0, 50.0))
        happened.append(any(50 < time <= 100 for time in times))
    return np.mean(predicted), np.mean(happened)


@pytest.mark.parametrize("rate", [1.0, 2.0, 5.0])
def test_it_is_calibrated_for_processes_of_a_constant_rate(rate):
    """Winners that change at a rate of k/t do so as often as predicted, about."""
    predicted, happened = predicted_and_happened(lambda rng: rate)
    assert predicted == pytest.approx(happened, abs=0.15)


def test_it_is_calibrated_for_rates_of_its_prior():
    predicted, happened = predicted_and_happened(lambda rng: rng.gamma(PRIOR_SHAPE, 1 / PRIOR_RATE))
    assert predicted == pytest.approx(happened, abs=0.02)


def test_it_learns_the_rate_of_a_search():
    """However far from the mean of the prior the rate is, the estimate is nearer to it."""
    prior_chance = 1 - (PRIOR_RATE / (PRIOR_RATE + np.log(2))) ** PRIOR_SHAPE
    for rate in (0.5, 1.0, 5.0):
        predicted, happened = predicted_and_happened(lambda rng, rate=rate: rate)
        assert abs(predicted - happened) < 0.7 * abs(prior_chance - happened)


def test_the_text_names_a_round_horizon():
    text = describe_improvement([10.0, 40.0], 1000.0)
    assert text.startswith("another 15m: ")
    assert text.endswith("% chance of a better winner")
