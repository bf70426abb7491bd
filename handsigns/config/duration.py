"""Durations in the form ``90s``, ``20m``, ``1h30m``, ``2d``."""

from __future__ import annotations

import contextlib
import math
import re

from handsigns.console.format import UNIT_SECONDS

_MAX_SECONDS = 10**12
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def parse_duration(value: object) -> float:
    """Return seconds, given a number of seconds, also as text, or text such as ``1h30m``.

    Raises:
        ValueError: the value is neither, or not positive.
    """
    seconds: float | None = None
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value) if abs(value) < _MAX_SECONDS else math.inf
    elif (
        isinstance(value, str) and len(value) < 40 and (found := _DURATION.fullmatch(value.strip()))
    ):
        counts = zip(found.groups(), UNIT_SECONDS.values(), strict=True)
        seconds = float(sum(int(count or 0) * unit for count, unit in counts))
    if seconds is None or not 0 < seconds < math.inf:
        raise ValueError(f"{value!r} is not a positive duration; write 90s, 20m, 1h30m or seconds")
    return seconds
