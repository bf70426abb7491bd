import pytest

from handsigns.stats.mcnemar import mcnemar


def test_mcnemar_equals_the_sign_test_on_discordant_images():
    from scipy.stats import binomtest

    for only_a, only_b in [(6, 0), (0, 6), (1, 9), (7, 5), (30, 12), (98_000, 102_000)]:
        assert mcnemar(only_a, only_b) == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(3, 3) == 1.0
