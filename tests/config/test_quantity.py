import pytest

from handsigns.config.quantity import parse_bytes, parse_count, parse_milliseconds


@pytest.mark.parametrize(
    ("parse", "value", "expected"),
    [
        (parse_count, "200k", 200_000), (parse_count, "1.5M", 1_500_000), (parse_count, 7, 7),
        (parse_bytes, "1 MB", 1_000_000), (parse_bytes, "500 kB", 500_000),
        (parse_bytes, "1M", 1_000_000), (parse_bytes, "2 KiB", 2048), (parse_bytes, 10, 10),
        (parse_milliseconds, "5ms", 5.0), (parse_milliseconds, 2.5, 2.5),
        (parse_milliseconds, "0.1 s", 100.0),
    ],
)  # fmt: skip
def test_parses_numbers_with_units(parse, value, expected):
    assert parse(value) == pytest.approx(expected)


@pytest.mark.parametrize("value", ["", "k", "-1", 0, -3, True, None, "1 lot", float("nan"), 10**20])
@pytest.mark.parametrize("parse", [parse_count, parse_bytes, parse_milliseconds])
def test_rejects_other_values(parse, value):
    with pytest.raises(ValueError, match="is not a"):
        parse(value)
