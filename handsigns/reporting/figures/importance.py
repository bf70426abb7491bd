"""Figures of the hyperparameter analysis: importance and slices."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np

from handsigns.config.parameters import Choice, Parameter, Range
from handsigns.reporting.figures.figure import Figure, Rows, make_figure, round_sig, subsample
from handsigns.reporting.figures.scales import (
    final_value,
    log_ticks,
    status_colour,
    value_format,
    value_y,
    with_result,
)
from handsigns.reporting.importance import Importances
from handsigns.reporting.positions import normalized_position
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord

_BEST_SHARE, _BEST_COUNT = 0.1, 3
"""Top trials: this share of all trials, but at least this number."""
_REGION = (0.1, 0.9)
"""Quantiles of the top trials' values that bound the best region."""
_MAX_POINTS = 1000
_MAX_LEVEL_CHARS = 40
"""Maximum characters of labels, each as long as the longest, that fit side by side."""


def importance_bars(importances: Importances) -> Figure:
    """Plot each hyperparameter's importance with its interval."""
    rows: Rows = [
        {
            "name": p.name,
            "share": round_sig(p.share),
            "low": round_sig(p.low),
            "high": round_sig(p.high),
        }
        for p in importances.parameters
    ]
    y = alt.Y("name:N", title=None, sort=[p.name for p in importances.parameters])
    base = alt.Chart(alt.NamedData("rows"))
    axis = alt.Axis(format="%", tickCount=5)
    bars = base.mark_bar(cornerRadiusEnd=3, height=alt.RelativeBandSize(0.55)).encode(
        y=y,
        x=alt.X("share:Q", title="importance", axis=axis, scale=alt.Scale(domain=[0, 1])),
        tooltip=[
            "name:N",
            *(alt.Tooltip(f"{f}:Q", format=".0%") for f in ("share", "low", "high")),
        ],
    )
    intervals = base.mark_rule(strokeWidth=2, style="span").encode(y=y, x="low:Q", x2="high:Q")
    listed = ", ".join(f"{p.name} {p.share:.0%}" for p in importances.parameters)
    return make_figure(
        "importance",
        "Importance",
        f"Importance of each hyperparameter: {listed}.",
        (bars + intervals).properties(width="container", height=30 * len(importances.parameters)),
        {"rows": rows},
    )


def best_region(records: Sequence[TrialRecord], name: str) -> tuple[float, float] | None:
    """Return the bounds of the middle 80 % of the values of the top tenth of ranked trials."""
    count = max(_BEST_COUNT, round(_BEST_SHARE * len(records)))
    values = [r.params[name] for r in records[:count] if name in r.params]
    numbers = [float(v) for v in values if isinstance(v, (int, float))]
    if not numbers:
        return None
    low, high = np.quantile(numbers, _REGION)
    return float(low), float(high)


def slice_plot(search: StoredSearch, name: str) -> Figure:
    """Plot the objective against one hyperparameter, with the region of the top trials."""
    objective, parameter = search.config.objective, search.config.space[name]
    is_choice = isinstance(parameter, Choice)
    ranked = [
        record
        for record in with_result(search.ranked)
        if name in record.params
        and (
            not isinstance(parameter, Range)
            or normalized_position(parameter, record.params[name]) is not None
        )
    ]
    rows: Rows = [
        {
            "x": _x_value(parameter, record.params[name]),
            "value": round_sig(final_value(record, objective)),
            "status": record.status,
            "trial": record.trial_id,
        }
        for record in ranked
    ]
    winner_id = search.winner.trial_id if search.winner else ""
    winner = [row for row in rows if row["trial"] == winner_id]
    values = [final_value(record, objective) for record in ranked]
    y = value_y(values, objective)
    x = _x_axis(parameter, name, "x", rows)
    kind = "N" if is_choice else "Q"
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
    region = None if is_choice else best_region(ranked, name)
    layers: list[alt.Chart] = [points, ring]
    data = {"rows": subsample(rows, _MAX_POINTS), "winner": winner}
    if region is not None:
        data["region"] = [{"low": round_sig(region[0]), "high": round_sig(region[1])}]
        band = (
            alt.Chart(alt.NamedData("region"))
            .mark_rect(style="band", opacity=0.13)
            .encode(x=_x_axis(parameter, name, "low", rows), x2="high:Q")
        )
        layers.insert(0, band)
    best = f" Most of the top tenth lie from {region[0]:.4g} to {region[1]:.4g}." if region else ""
    return make_figure(
        f"slice_{name}",
        name,
        f"{objective.label} of {len(rows)} trials against {name}.{best}",
        alt.layer(*layers).properties(width="container", height=190),
        data,
    )


def _x_value(parameter: Parameter, value: object) -> object:
    if isinstance(parameter, Choice):
        return str(value)
    assert isinstance(value, (int, float))
    return round_sig(value)


def _x_axis(parameter: Parameter, name: str, field: str, rows: Rows) -> alt.X:
    """Return an axis that covers the search range, and all trials if the range was changed."""
    if isinstance(parameter, Choice):
        values = [str(value) for value in parameter.choices]
        fits = len(values) * max(map(len, values)) <= _MAX_LEVEL_CHARS
        axis = alt.Axis(labelAngle=0 if fits else -40)
        return alt.X(f"{field}:N", title=name, sort=values, axis=axis)
    assert isinstance(parameter, Range)
    shown = [parameter.low, parameter.high, *(float(row["x"]) for row in rows)]
    low, high = min(shown), max(shown)
    if parameter.is_log:
        scale = alt.Scale(type="log", nice=False, domain=[low, high])
        return alt.X(
            f"{field}:Q", title=name, scale=scale, axis=alt.Axis(values=log_ticks(low, high))
        )
    scale = alt.Scale(nice=False, domain=[low, high])
    return alt.X(f"{field}:Q", title=name, scale=scale, axis=alt.Axis(tickCount=5))
