"""Ticks and number formats of axes: enough labels, none of them twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handsigns.reporting.figures.scales import log_ticks


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.001, 0.1, [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1]),
        (0.31, 0.48, [0.35, 0.4, 0.45]),
        (0.41, 0.49, [0.42, 0.44, 0.46, 0.48]),
        (0.4122, 0.4124, [0.4122, 0.41225, 0.4123, 0.41235, 0.4124]),
        (0.412, 0.412, [0.412]),
    ],
)
def test_ticks_of_a_logarithmic_axis_are_few_round_numbers(low, high, ticks):
    assert log_ticks(low, high) == ticks


@given(low=st.floats(1e-5, 1e4), ratio=st.floats(1.0001, 1000))
def test_ticks_of_any_range_are_a_few_within_it(low, ratio):
    ticks = log_ticks(low, low * ratio)
    assert 2 <= len(ticks) <= 7
    assert ticks == sorted(set(ticks))
    assert low <= ticks[0]
    assert ticks[-1] <= low * ratio
