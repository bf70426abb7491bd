"""Figures of what a search learned: importance and slices."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np

from handsigns.config.space import Choice, Integer, LogUniform, Parameter, Uniform
from handsigns.reporting.figures.figure import Figure, Rows, figure, short, thinned
from handsigns.reporting.figures.scales import (
    log_ticks,
    result_of,
    status_colour,
    usable,
    value_axis,
    value_format,
    value_scale,
)
from handsigns.reporting.importance import Importances
from handsigns.reporting.range_edges import is_log
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord

_BEST_SHARE, _BEST_COUNT = 0.1, 3
"""Which trials count as the best: this share of them, but at least so many."""
_REGION = (0.1, 0.9)
"""Quantiles of the best trials' values between which the best region lies."""
_MOST_POINTS = 1000


def importance_bars(found: Importances) -> Figure:
    """Each hyperparameter's share, with its interval."""
    rows: Rows = [
        {
            "name": one.name,
            "share": short(one.share),
            "low": short(one.low),
            "high": short(one.high),
        }
        for one in found.each
    ]
    y = alt.Y("name:N", title=None, sort=[one.name for one in found.each])
    base = alt.Chart(alt.NamedData("rows"))
    axis = alt.Axis(format="%", tickCount=5)
    bars = base.mark_bar(cornerRadiusEnd=3, height=alt.RelativeBandSize(0.55)).encode(
        y=y,
        x=alt.X(
            "share:Q", title="share of what decides", axis=axis, scale=alt.Scale(domain=[0, 1])
        ),
        tooltip=[
            "name:N",
            *(alt.Tooltip(f"{f}:Q", format=".0%") for f in ("share", "low", "high")),
        ],
    )
    spans = base.mark_rule(strokeWidth=2, style="span").encode(y=y, x="low:Q", x2="high:Q")
    listed = ", ".join(f"{one.name} {one.share:.0%}" for one in found.each)
    return figure(
        "importance",
        "Importance",
        f"Importance of each hyperparameter: {listed}.",
        (bars + spans).properties(width="container", height=30 * len(found.each)),
        {"rows": rows},
    )


def best_region(records: Sequence[TrialRecord], name: str) -> tuple[float, float] | None:
    """Where most of the best tenth of the ranked trials lie: the middle 80 % of their values."""
    count = max(_BEST_COUNT, round(_BEST_SHARE * len(records)))
    values = [r.params[name] for r in records[:count] if name in r.params]
    numbers = [float(v) for v in values if isinstance(v, (int, float))]
    if not numbers:
        return None
    low, high = np.quantile(numbers, _REGION)
    return float(low), float(high)


def slice_of(search: StoredSearch, name: str) -> Figure:
    """The objective against one hyperparameter, with the region of the best trials."""
    objective, parameter = search.study.objective, search.study.space[name]
    ranked = [record for record in usable(search.ranked) if name in record.params]
    rows: Rows = [
        {
            "x": _shown(parameter, record.params[name]),
            "value": short(result_of(record, objective)),
            "status": record.status,
            "trial": record.trial_id,
        }
        for record in thinned(ranked, _MOST_POINTS)
    ]
    won = search.winner.trial_id if search.winner else ""
    winner = [row for row in rows if row["trial"] == won]
    values = [result_of(record, objective) for record in ranked]
    y = alt.Y(
        "value:Q",
        title=objective.name,
        scale=value_scale(values, objective),
        axis=value_axis(values, objective),
    )
    x = _axis_of(parameter, name, "x", rows)
    kind = "N" if isinstance(parameter, Choice) else "Q"
    tips = [
        alt.Tooltip("trial:N"),
        alt.Tooltip(f"x:{kind}", title=name),
        alt.Tooltip("value:Q", format=value_format(objective)),
        alt.Tooltip("status:N"),
    ]
    points = (
        alt.Chart(alt.NamedData("rows"))
        .mark_point(filled=True, size=30, opacity=0.6)
        .encode(x=x, y=y, color=status_colour(set()), tooltip=tips)
    )
    ring = (
        alt.Chart(alt.NamedData("winner"))
        .mark_point(filled=False, size=130, strokeWidth=2, style="ring")
        .encode(x=x, y=y)
    )
    region = None if isinstance(parameter, Choice) else best_region(ranked, name)
    layers: list[alt.Chart] = [points, ring]
    data = {"rows": rows, "winner": winner}
    if region is not None:
        data["region"] = [{"low": short(region[0]), "high": short(region[1])}]
        band = (
            alt.Chart(alt.NamedData("region"))
            .mark_rect(style="band", opacity=0.13)
            .encode(x=_axis_of(parameter, name, "low", rows), x2="high:Q")
        )
        layers.insert(0, band)
    where = (
        f" Most of the best tenth lie from {region[0]:.4g} to {region[1]:.4g}." if region else ""
    )
    return figure(
        f"slice_{name}",
        name,
        f"{objective.name} of {len(rows)} trials against {name}.{where}",
        alt.layer(*layers).properties(width="container", height=190),
        data,
    )


def _shown(parameter: Parameter, value: object) -> object:
    if isinstance(parameter, Choice) or isinstance(value, (bool, str)):
        return str(value)
    assert isinstance(value, (int, float))
    return short(value)


def _axis_of(parameter: Parameter, name: str, field: str, rows: Rows) -> alt.X:
    """As wide as what was searched, and as the trials, should the range have been changed."""
    if isinstance(parameter, Choice):
        values = [str(value) for value in parameter.choices]
        return alt.X(f"{field}:N", title=name, sort=values, axis=alt.Axis(labelAngle=0))
    assert isinstance(parameter, (Uniform, LogUniform, Integer))
    there = [float(row["x"]) for row in rows]
    low, high = min([parameter.low, *there]), max([parameter.high, *there])
    if is_log(parameter):
        scale = alt.Scale(type="log", nice=False, domain=[low, high])
        return alt.X(
            f"{field}:Q", title=name, scale=scale, axis=alt.Axis(values=log_ticks(low, high))
        )
    scale = alt.Scale(nice=False, domain=[low, high])
    return alt.X(f"{field}:Q", title=name, scale=scale, axis=alt.Axis(tickCount=5))
