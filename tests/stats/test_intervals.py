import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handsigns.stats.intervals import (
    difference_interval,
    mean_confidence_interval,
    wilson_interval,
)


def test_wilson_interval_against_published_values():
    # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_contains_the_proportion_within_bounds(counts):
    correct, total = counts
    low, high = wilson_interval(correct, total)
    assert 0 <= low <= correct / total <= high <= 1
    assert low < high


def test_difference_interval_against_published_values():
    # Newcombe, "Interval estimation for the difference between independent proportions", 1998,
    # table II, method 10
    assert difference_interval(9, 3, 10) == pytest.approx((0.1705, 0.8090), abs=5e-5)
    assert difference_interval(10, 0, 10) == pytest.approx((0.6075, 1.0), abs=5e-5)


def test_interval_of_a_mean_is_students_t():
    from scipy.stats import t

    values = [0.97, 0.98, 0.99, 0.985]
    expected = t.interval(0.95, 3, loc=np.mean(values), scale=np.std(values, ddof=1) / 2)
    assert mean_confidence_interval(values) == pytest.approx(expected)
    assert mean_confidence_interval([0.99]) is None
    assert mean_confidence_interval([0.99, 0.99]) is None
    assert mean_confidence_interval([0.99, float("nan"), 0.98]) is None


def test_rounding_errors_do_not_count_as_a_spread():
    correct = np.array([189, 183, 192], np.float32)
    differences = correct / 200 - (correct - 2) / 200
    assert len(set(differences)) > 1
    assert mean_confidence_interval([float(d) for d in differences]) is None


def test_rounding_is_relative_to_the_scale():
    assert mean_confidence_interval([1e-7, 2e-7]) is None
    assert mean_confidence_interval([1e-7, 2e-7], scale=1e-7) is not None
    assert mean_confidence_interval([0.0, 0.0], scale=0.0) is None
