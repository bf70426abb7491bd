"""What the figures share: the objective's scale and name, units of time, colours of statuses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from handsigns.config.search import Objective
from handsigns.reporting.figures.figure import STATUSES
from handsigns.results.trial import TrialRecord

_MOST_TICKS = 7


def value_scale(values: Sequence[float], objective: Objective) -> alt.Scale:
    """Losses span orders of magnitude, accuracies do not."""
    if not objective.is_share and values and min(values) > 0:
        return alt.Scale(type="log", nice=False)
    return alt.Scale(zero=False, nice=True)


def value_format(objective: Objective) -> str:
    """Of the objective on an axis or in a tooltip."""
    return ".1%" if objective.is_share else ".3~g"


def value_axis(values: Sequence[float], objective: Objective) -> alt.Axis:
    """For the objective; on a logarithmic scale with few lines."""
    form = value_format(objective)
    if objective.is_share or not values or min(values) <= 0:
        return alt.Axis(format=form, tickCount=5)
    return alt.Axis(format=form, values=log_ticks(min(values), max(values)))


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers from low to high, some six at most."""
    for steps in ((1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1, 3), (1,)):
        exponents = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
        ticks = [float(f"{step}e{power}") for power in exponents for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= _MOST_TICKS:
            break
    return ticks


def time_unit(seconds: float) -> tuple[float, str]:
    """What to divide by, so that the numbers of so long a time are small, and its name."""
    if seconds < 180:
        return 1.0, "seconds"
    return (60.0, "minutes") if seconds < 3 * 3600 else (3600.0, "hours")


def status_colour(present: set[str]) -> alt.Color:
    """The colour of a trial's status; the legend has those given, and is left out where none is."""
    listed = [status for status in STATUSES if status in present]
    return alt.Color(
        "status:N",
        scale=alt.Scale(domain=list(STATUSES), range="ordinal"),
        legend=alt.Legend(title=None, values=listed, columns=3) if listed else None,
    )


def rank_colour(ranks: int) -> alt.Color:
    """The colour of a rank, from 1; the legend names the first, the middle and the last."""
    last = max(1, ranks)
    return alt.Color(
        "rank:Q",
        scale=alt.Scale(range="ramp", type="sqrt", domain=[1, max(2, last)]),
        title="rank",
        legend=alt.Legend(format="d", values=sorted({1, (1 + last) // 2, last}), offset=20),
    )


def count_axis(**settings: Any) -> alt.Axis:
    """For counts: whole numbers, each at most once."""
    return alt.Axis(format="d", tickMinStep=1, **settings)


def usable(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Those with a result."""
    return [record for record in records if record.has_result]


def result_of(record: TrialRecord, objective: Objective) -> float:
    """The objective after the last epoch of a trial that has one."""
    return objective.of(record.epochs[-1])
