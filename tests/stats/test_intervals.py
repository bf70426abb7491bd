import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handsigns.stats.intervals import mean_interval, wilson_interval


def test_against_published_values():
    # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_holds_the_share_and_stays_within_bounds(counts):
    correct, total = counts
    low, high = wilson_interval(correct, total)
    assert 0 <= low <= correct / total <= high <= 1
    assert low < high


def test_the_interval_of_a_mean_is_students():
    from scipy.stats import t

    values = [0.97, 0.98, 0.99, 0.985]
    wanted = t.interval(0.95, 3, loc=np.mean(values), scale=np.std(values, ddof=1) / 2)
    assert mean_interval(values) == pytest.approx(wanted)
    assert mean_interval([0.99]) is None
    assert mean_interval([0.99, 0.99]) is None
