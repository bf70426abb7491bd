"""Text of metrics."""

import pytest

from handsigns.console.format import format_metric


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (0.0, "0.0000"),
        (0.12345, "0.1235"),
        (9999.0, "9999.0000"),
        (1e-9, "1e-09"),
        (1e300, "1e+300"),
    ],
)
def test_tiny_and_huge_losses_have_four_significant_digits(loss, text):
    assert format_metric("val_loss", loss) == text
