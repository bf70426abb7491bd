"""Bars of text: learning curves and progress."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], low: float, high: float, cells: int, total: int) -> str:
    """A curve of up to `total` values as a row of bars in at most `cells` columns.

    Each bar stands for as many values and has the height of the last of them, from `low` to `high`.
    """
    each = math.ceil(total / cells)
    ends = [values[min(start + each, len(values)) - 1] for start in range(0, len(values), each)]
    return "".join(_BARS[_level(value, low, high)] for value in ends)


def _level(value: float, low: float, high: float) -> int:
    share = (value - low) / (high - low) if high > low else 1.0
    return min(len(_BARS) - 1, max(0, int(share * len(_BARS))))


def progress_bar(share: float, cells: int) -> Text:
    """Return a bar of so many columns, a share of which is full."""
    full = min(cells, int(share * cells))
    return Text("━" * full, style="green").append("━" * (cells - full), style="dim")
