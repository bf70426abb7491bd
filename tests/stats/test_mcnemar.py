import pytest

from handsigns.stats.mcnemar import holm, mcnemar


def test_mcnemar_equals_the_sign_test_on_discordant_images():
    from scipy.stats import binomtest

    for only_a, only_b in [(6, 0), (0, 6), (1, 9), (7, 5), (30, 12), (98_000, 102_000)]:
        assert mcnemar(only_a, only_b) == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(3, 3) == 1.0


def test_holm_corrects_for_the_number_of_tests():
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.03]) == [0.03]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
