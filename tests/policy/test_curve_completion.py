import numpy as np
import pytest

from handsigns.policy.curve_completion import complete_curve, leave_one_out_error

EPOCHS = 12


def curve(quality, length=EPOCHS, noise=0.0, rng=None):
    """Log losses that end at a quality which the early epochs show at a third of its extent."""
    epochs = np.arange(1, EPOCHS + 1)
    values = quality * (0.3 + 0.7 * epochs / EPOCHS) - 0.2 * epochs
    return (values + (noise * rng.standard_normal(EPOCHS) if rng else 0.0))[:length]


def test_a_cut_curve_is_continued_as_the_trend_of_others():
    others = [curve(quality) for quality in np.linspace(-1, 1, 8)]
    completed = complete_curve(curve(0.5, 4), others, EPOCHS)
    assert completed == pytest.approx(curve(0.5))


def test_longer_cut_curves_help_with_the_epochs_they_have():
    rng = np.random.default_rng(1)
    full = [curve(quality) for quality in (-0.5, 0.2)]
    longer = [curve(quality, 8) for quality in rng.uniform(-1, 1, 10)]
    completed = complete_curve(curve(0.9, 4), [*full, *longer], EPOCHS)
    assert completed[:8] == pytest.approx(curve(0.9, 8))
    # From two full curves only the offset is known.
    offset = np.mean([one[-1] - one[3] for one in full])
    assert completed[-1] == pytest.approx(curve(0.9)[3] + offset)


def test_a_curve_poorer_than_all_others_stays_as_far_behind():
    """The others survived early stopping; the noise of their ends says nothing of poor ones."""
    rng = np.random.default_rng(0)
    others = [np.array([1.0 + q, 0.5 + rng.normal(0, 0.01)]) for q in np.linspace(0, 0.1, 8)]
    as_poor, poorer = (complete_curve(np.array([first]), others, 2)[-1] for first in (1.1, 1.9))
    assert as_poor == pytest.approx(0.5, abs=0.02)
    assert poorer - as_poor == pytest.approx(0.8)


def test_a_curve_does_not_end_worse_than_it_was_cut():
    others = [3 * curve(quality) + 5 * np.arange(EPOCHS) for quality in np.linspace(-1, 1, 8)]
    completed = complete_curve(others[3][:4], others, EPOCHS)
    assert completed.max() == completed[3]


def test_the_error_is_that_of_unseen_curves():
    rng = np.random.default_rng(2)
    qualities = rng.uniform(-1, 1, 30)
    exact = [curve(quality) for quality in qualities]
    assert leave_one_out_error(exact, EPOCHS) is None, "nothing was cut"
    assert leave_one_out_error([*exact, curve(0.3, 4)], EPOCHS) == pytest.approx(0, abs=0.01)
    noisy = [curve(quality, noise=0.1, rng=rng) for quality in qualities]
    error = leave_one_out_error([*noisy, curve(0.3, 4)], EPOCHS)
    # The slope from epoch 4 to the last is below 2: noise of both ends adds up.
    assert 0.1 < error < 0.1 * np.sqrt(1 + 2**2) * 1.3
