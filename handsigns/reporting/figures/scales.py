"""Scales, axes, number formats and colour encodings shared by the figures."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any, Literal

import altair as alt

from handsigns.config.sections import Objective
from handsigns.reporting.figures.figure import STATUSES
from handsigns.results.trial import TrialRecord

Orient = Literal["top", "bottom"]

SCORE_FORMAT = ".4~p"
"""Number format of scores on axes and in legends: percent, with the digits that tell them apart."""
_MAX_TICKS = 7
_SHAPES = ("circle", "cross", *["triangle-right"] * 3, "diamond", "square")
"""Point shapes of `STATUSES`; the three of unfinished trials are alike."""


def is_log_scale(values: Sequence[float], objective: Objective) -> bool:
    """Return whether the objective is plotted on a logarithmic scale: for positive losses."""
    return not objective.is_score and min(values, default=0.0) > 0


def value_scale(values: Sequence[float], objective: Objective) -> alt.Scale:
    """Return the scale of the objective."""
    if is_log_scale(values, objective):
        return alt.Scale(type="log", nice=False)
    return alt.Scale(zero=False, nice=True)


def value_format(objective: Objective) -> str:
    """Return the number format of the objective in tooltips."""
    return ".2%" if objective.is_score else ".3~g"


def axis_format(objective: Objective) -> str:
    """Return the number format of the objective on axes and in legends."""
    return SCORE_FORMAT if objective.is_score else "~g"


def value_axis(values: Sequence[float], objective: Objective) -> alt.Axis:
    """Return the axis of the objective, with few ticks on a logarithmic scale."""
    number_format = axis_format(objective)
    if is_log_scale(values, objective):
        return alt.Axis(format=number_format, values=log_ticks(min(values), max(values)))
    return alt.Axis(format=number_format, tickCount=5)


def value_y(values: Sequence[float], objective: Objective) -> alt.Y:
    """Encode the objective, in the field ``value``, as y."""
    return alt.Y(
        "value:Q",
        title=objective.label,
        scale=value_scale(values, objective),
        axis=value_axis(values, objective),
    )


def log_ticks(low: float, high: float) -> list[float]:
    """Return at most `_MAX_TICKS` round numbers from low to high, at least two if these differ."""
    for steps in ((1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1, 3), (1,)):
        exponents = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
        ticks = [float(f"{step}e{power}") for power in exponents for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= _MAX_TICKS:
            break
    return ticks if len(ticks) > 1 else _linear_ticks(low, high)


def _linear_ticks(low: float, high: float) -> list[float]:
    """Return at most `_MAX_TICKS` round numbers from low to high, at equal distances."""
    if high <= low:
        return [low]
    power = math.floor(math.log10(high - low)) - 1
    ticks: list[float] = []
    for factor in (2, 5, 10, 20):
        step = float(f"{factor}e{power}")
        multiples = range(math.ceil(low / step), math.floor(high / step) + 1)
        ticks = [float(f"{k * step:.6g}") for k in multiples]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= _MAX_TICKS:
            break
    return ticks


def time_unit(seconds: float) -> tuple[float, str]:
    """Return the seconds and the name of the unit that suits a duration."""
    if seconds < 180:
        return 1.0, "seconds"
    return (60.0, "minutes") if seconds < 3 * 3600 else (3600.0, "hours")


def status_colour(present: Collection[str], orient: Orient = "top") -> alt.Color:
    """Encode a trial's status as colour; the legend lists those present, none for no status."""
    scale = alt.Scale(domain=list(STATUSES), range="ordinal")
    return alt.Color("status:N", scale=scale, legend=_status_legend(present, orient))


def status_shape(present: Collection[str], orient: Orient = "top") -> alt.Shape:
    """Encode a trial's status as the shape of a point, with the same legend as its colour."""
    scale = alt.Scale(domain=list(STATUSES), range=list(_SHAPES))
    return alt.Shape("status:N", scale=scale, legend=_status_legend(present, orient))


def _status_legend(present: Collection[str], orient: Orient) -> alt.Legend | None:
    listed = [status for status in STATUSES if status in present]
    if not listed:
        return None
    return alt.Legend(title=None, values=listed, columns=3, orient=orient)


def rank_colour(ranks: int) -> alt.Color:
    """Encode a rank, from 1, as colour; the legend has the first, the middle and the last."""
    last = max(1, ranks)
    return alt.Color(
        "rank:Q",
        scale=alt.Scale(range="ramp", type="sqrt", domain=[1, max(2, last)]),
        title="rank",
        legend=alt.Legend(format="d", values=sorted({1, (1 + last) // 2, last}), offset=20),
    )


def count_axis(**settings: Any) -> alt.Axis:
    """Return an axis of integers without duplicate labels."""
    return alt.Axis(format="d", tickMinStep=1, **settings)


def with_result(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials with a result."""
    return [record for record in records if record.has_result]


def final_value(record: TrialRecord, objective: Objective) -> float:
    """Return the objective after a trial's last epoch."""
    return objective.value_of(record.epochs[-1])
