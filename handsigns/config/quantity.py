"""Counts, sizes and times with units: ``200k``, ``1 MB``, ``5ms``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

_QUANTITY = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([a-z]*)")
_COUNTS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_BYTES = {f"{unit}{b}": factor for unit, factor in _COUNTS.items() for b in ("", "b")} | {
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}
_MILLISECONDS = {"": 1.0, "ms": 1.0, "us": 1e-3, "s": 1e3}


def parse_count(value: object) -> int:
    """Return a count, given a number or text such as ``200k`` or ``1.5M``.

    Raises:
        ValueError: the value is neither, or not at least 1.
    """
    return int(_parse(value, _COUNTS, 1.0, "a count of at least 1; write 200k, 1.5M or a number"))


def parse_bytes(value: object) -> int:
    """Return bytes, given a number of bytes or text such as ``500 kB`` or ``1 MB``.

    Raises:
        ValueError: the value is neither, or not at least 1.
    """
    remedy = "a size of at least 1 byte; write 500 kB, 1 MB or a number of bytes"
    return int(_parse(value, _BYTES, 1.0, remedy))


def parse_milliseconds(value: object) -> float:
    """Return milliseconds, given a number of them or text such as ``5ms``.

    Raises:
        ValueError: the value is neither, or not positive.
    """
    remedy = "a positive time; write 5, 5ms or 0.1s (a number is in milliseconds)"
    return _parse(value, _MILLISECONDS, 0.0, remedy)


def _parse(value: object, units: Mapping[str, float], lowest: float, expected: str) -> float:
    """Return a quantity, of at least `lowest` and above 0."""
    number = math.nan
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value) if abs(value) < 10**15 else math.inf
    elif isinstance(value, str) and len(value) < 40:
        # As lower case: nobody who writes 1 mb means millibits.
        found = _QUANTITY.fullmatch(value.strip().lower())
        if found and found[2] in units:
            number = float(found[1]) * units[found[2]]
    if not lowest <= number < math.inf or number == 0:
        raise ValueError(f"{value!r} is not {expected}")
    return number
