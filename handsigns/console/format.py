"""Human-readable durations, percentages, intervals, counts and hyperparameter values."""

from __future__ import annotations

import math

from handsigns.console.sanitize import printable
from handsigns.metrics import METRICS, Metric

UNIT_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
"""Units of duration, with their length in seconds."""
MISSING = "–"
"""Placeholder for a missing value."""


def format_duration(seconds: float) -> str:
    """Return the shortest text for whole seconds: 90 is ``1m30s``."""
    rest, parts = int(seconds), []
    for unit, length in UNIT_SECONDS.items():
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def pluralize(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 trial``, ``2 trials``, ``3 classes``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def percent(fraction: float | None, digits: int = 2) -> str:
    """Return a fraction in [0, 1] as a percentage."""
    return MISSING if fraction is None else f"{fraction:.{digits}%}"


def format_metric(metric: Metric, value: float) -> str:
    """Return a metric of the validation split as text, a score as a percentage."""
    if math.isnan(value):
        return MISSING
    if METRICS[metric].is_score:
        return percent(value)
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) <= 1e4 else f"{value:.4g}"


def percent_interval(interval: tuple[float, float], digits: int = 1) -> str:
    """Return a confidence interval of a proportion as percentages."""
    return f"{percent(interval[0], digits)} to {percent(interval[1], digits)}"


def interval_cell(interval: tuple[float, float] | None, spec: str = ".1%") -> str:
    """Return a confidence interval as the cell of a table; `spec` is the format of its ends."""
    return "–".join(format(end, spec) for end in interval) if interval else MISSING


def format_bytes(size: int) -> str:
    """Return a size in bytes in decimal units, as files are listed: ``514.5 kB``, ``12.3 MB``."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def format_value(value: object, digits: int = 4) -> str:
    """Return a hyperparameter or another table value as text."""
    return f"{value:.{digits}g}" if isinstance(value, float) else printable(str(value))
