"""Durations as people write them: ``90s``, ``20m``, ``1h30m``, ``2d``."""

from __future__ import annotations

import math
import re

from handsigns.console.format import UNITS

_LONGEST = 10**12
_TEXT = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def parse_duration(value: object) -> float:
    """Seconds, from a number of seconds or a text such as ``1h30m``.

    Raises:
        ValueError: it is neither, or not above 0.
    """
    seconds: float | None = None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value) if abs(value) < _LONGEST else math.inf
    elif isinstance(value, str) and len(value) < 40 and (found := _TEXT.fullmatch(value.strip())):
        counts = zip(found.groups(), UNITS.values(), strict=True)
        seconds = float(sum(int(count or 0) * unit for count, unit in counts))
    if seconds is None or not 0 < seconds < math.inf:
        raise ValueError(f"{value!r} is no duration above 0; write 90s, 20m, 1h30m or seconds")
    return seconds
