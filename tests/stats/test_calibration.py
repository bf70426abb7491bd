import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handsigns.stats.calibration import calibration, confidence_threshold


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


def test_threshold_against_manual_computation():
    # Of 99 images, the 5th smallest: 1 - 5 / 100 of images like these reach it.
    values = np.arange(99)[::-1] / 100
    assert confidence_threshold(values) == 0.04
    assert confidence_threshold(np.array([0.7, 0.9, 0.8])) == 0.7  # too few for 95 %


def test_threshold_covers_new_images_in_95_percent_of_cases():
    rng = np.random.default_rng(0)
    draws = rng.beta(5, 1, (4000, 60))  # 59 to calibrate, one new
    covered = [row[-1] >= confidence_threshold(row[:-1]) for row in draws]
    assert 0.95 - 0.01 < np.mean(covered) < 0.95 + 0.01


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200))
def test_threshold_is_a_value_that_95_percent_reach(values):
    threshold = confidence_threshold(np.array(values))
    assert threshold in values
    assert sum(value >= threshold for value in values) >= 0.95 * len(values)
