import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handsigns.stats.calibration import calibration


def test_against_manual_computation():
    # Two images at 0.9, one of them correct; two at 0.6, both correct.
    found = calibration(np.array([0.9, 0.6, 0.9, 0.6]), np.array([True, True, False, True]))
    assert found.ece == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)
    low, high = found.bins
    assert (low.low, low.high, low.count, low.accuracy) == (0.5, 0.6, 2, 1.0)
    assert (high.low, high.high, high.count, high.accuracy) == (0.8, 0.9, 2, 0.5)
    assert high.confidence == pytest.approx(0.9)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_every_image_is_in_the_bin_of_its_confidence(rows):
    confidence, correct = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    found = calibration(confidence, correct)
    assert 0 <= found.ece <= 1
    assert sum(b.count for b in found.bins) == len(rows)
    for b in found.bins:
        assert b.low - 1e-9 <= b.confidence <= b.high + 1e-9
        assert b.count > 0
    num_correct = sum(b.count * b.accuracy for b in found.bins)
    assert num_correct == pytest.approx(correct.sum())


def test_certain_and_correct_model_is_calibrated():
    assert calibration(np.ones(5), np.ones(5, bool)).ece == 0
    assert calibration(np.ones(5), np.zeros(5, bool)).ece == 1
