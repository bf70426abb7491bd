"""Text charts: sparklines of learning curves, and progress bars."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text

from handsigns.console.format import pluralize

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], low: float, high: float, width: int, total: int) -> str:
    """Return a curve of up to `total` values as a row of bars in at most `width` columns.

    Each bar covers the same number of values; its height is the last of them, scaled from `low` to
    `high`.
    """
    each = math.ceil(total / width)
    ends = [values[min(start + each, len(values)) - 1] for start in range(0, len(values), each)]
    return "".join(_BLOCKS[_level(value, low, high)] for value in ends)


def _level(value: float, low: float, high: float) -> int:
    share = (value - low) / (high - low) if high > low else 1.0
    return min(len(_BLOCKS) - 1, max(0, int(share * len(_BLOCKS))))


def progress_bar(completed: int, total: int, noun: str, width: int = 30) -> Text:
    """Return a bar of `width` columns, followed by the numbers: ``3/20 trials``."""
    full = min(width, width * completed // total)
    numbers = f" {completed}/{pluralize(total, noun)}"
    return Text.assemble(("━" * full, "green"), ("─" * (width - full), "dim"), numbers)
