"""Figure of a forecast: time to each target against the number of workers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt

from handsigns.policy.forecast import Forecast
from handsigns.reporting.figures import scales
from handsigns.reporting.figures.figure import Figure, Rows, make_figure, round_sig

_HEIGHT = 340


def time_plot(forecast: Forecast, labels: Sequence[str]) -> Figure:
    """Plot the median time to each target with its 80 % interval, on logarithmic axes.

    Args:
        forecast: the forecast.
        labels: a label for each target.
    """
    ends = [
        seconds
        for estimate in forecast.estimates
        for seconds in (estimate.seconds, *estimate.interval)
        if seconds is not None
    ]
    low, high = (min(ends), max(ends)) if ends else (1.0, 1.0)
    unit, unit_name = scales.time_unit(math.sqrt(low * high))
    rows: Rows = [
        {"workers": e.workers, "target": label, "time": _scaled(e.seconds, unit),
         "low": _scaled(e.interval[0], unit), "high": _scaled(e.interval[1], unit)}
        for label, estimates in zip(labels, forecast.by_target.values(), strict=True)
        for e in estimates
        if e.seconds is not None
    ]  # fmt: skip
    workers = sorted({estimate.workers for estimate in forecast.estimates})
    x = alt.X(
        "workers:Q",
        title="workers",
        scale=alt.Scale(type="log", nice=False, domain=[workers[0], workers[-1]]),
        axis=alt.Axis(values=workers, format="d"),
    )
    y = alt.Y(
        "time:Q",
        title=f"time to the target ({unit_name})",
        scale=alt.Scale(type="log", nice=False, domain=[low / unit, high / unit]),
        axis=alt.Axis(values=scales.log_ticks(low / unit, high / unit), format="~g"),
    )
    colour = alt.Color(
        "target:N",
        title=None,
        scale=alt.Scale(domain=list(labels)),
        legend=alt.Legend(columns=1, symbolOpacity=1),
    )
    base = alt.Chart(alt.NamedData("rows")).encode(x=x, color=colour)
    band = (
        base.transform_filter("datum.high !== null")
        .mark_area(opacity=0.16)
        .encode(y=alt.Y("low:Q"), y2="high:Q")
    )
    number = alt.Tooltip("time:Q", format=".3~g", title=f"median ({unit_name})")
    line = base.mark_line(strokeWidth=2.5, point=alt.OverlayMarkDef(size=45)).encode(
        y=y, tooltip=["workers:Q", "target:N", number]
    )
    return make_figure(
        "time_over_workers",
        "Time over workers",
        f"Median time to {', '.join(labels)}, with {_span(workers)} workers.",
        (band + line).properties(width="container", height=_HEIGHT),
        {"rows": rows},
        "Median of simulated searches; the bands are 80 % intervals. Both axes are logarithmic.",
    )


def _scaled(seconds: float | None, unit: float) -> float | None:
    return None if seconds is None else round_sig(seconds / unit)


def _span(workers: Sequence[int]) -> str:
    return str(workers[0]) if len(workers) == 1 else f"{workers[0]} to {workers[-1]}"
