"""Numbers for people: durations, shares, intervals, counts, values of hyperparameters."""

from __future__ import annotations

from handsigns.console.sanitize import printable

UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
"""Of durations, with their seconds."""
MISSING = "–"
"""Where there is no value."""


def format_duration(seconds: float) -> str:
    """Return the shortest text for whole seconds: ``90s`` is ``1m30s``."""
    rest, parts = int(seconds), []
    for unit, length in UNITS.items():
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 trial``, ``2 trials``, ``3 classes``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share in [0, 1] as a percentage."""
    return MISSING if share is None else f"{share:.{digits}%}"


def percent_interval(interval: tuple[float, float], digits: int = 1) -> str:
    """Return the ends of a 95 % interval of a share."""
    return f"{percent(interval[0], digits)} to {percent(interval[1], digits)}"


def value_text(value: object, digits: int = 4) -> str:
    """Return a hyperparameter's value, or another one that a table shows."""
    return f"{value:.{digits}g}" if isinstance(value, float) else printable(str(value))
