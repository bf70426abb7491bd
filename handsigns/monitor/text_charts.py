"""Text charts: sparklines of learning curves, and progress bars."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text

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


def progress_bar(share: float, width: int) -> Text:
    """Return a bar of `width` columns, of which the fraction `share` (0 to 1) is filled."""
    full = min(width, int(share * width))
    return Text("━" * full, style="green").append("━" * (width - full), style="dim")
