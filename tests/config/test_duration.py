import pytest
from hypothesis import given
from hypothesis import strategies as st

from handsigns.config.duration import parse_duration
from handsigns.console.format import format_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("20m", 1200), ("1h30m", 5400), ("2d", 172800), ("45", 45), (45, 45), (0.5, 0.5)],
)
def test_parses_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0s", "m", "1x", "-5m", 0, -1, -(10**400), 10**400, None, True, "1m1h", "nan"]
)
def test_rejects_invalid_durations(text):
    with pytest.raises(ValueError, match="is not a positive duration"):
        parse_duration(text)


@given(st.integers(1, 10**8))
def test_round_trip(seconds):
    assert parse_duration(format_duration(seconds)) == seconds
