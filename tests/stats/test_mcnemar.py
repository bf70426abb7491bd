import pytest

from handsigns.stats.mcnemar import mcnemar


def test_it_is_the_sign_test_on_what_differs():
    from scipy.stats import binomtest

    for first, second in [(6, 0), (0, 6), (1, 9), (7, 5), (30, 12)]:
        assert mcnemar(first, second) == pytest.approx(binomtest(first, first + second).pvalue)
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(3, 3) == 1.0
