"""Figures of what a search learned: importance, slices, parallel coordinates, pairs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import altair as alt
import numpy as np

from handsigns.config.space import Choice, Fixed, Integer, LogUniform, Parameter
from handsigns.config.study import Objective
from handsigns.report.edges import position
from handsigns.report.figure import Figure, Rows, figure, short, thinned
from handsigns.report.figures import (
    NAMES,
    log_ticks,
    status_colour,
    usable,
    value_axis,
    value_format,
    value_scale,
)
from handsigns.report.importance import Importances
from handsigns.search.record import TrialRecord
from handsigns.search.store import StoredSearch

MOST_LINES = 250
_GRID = 22
"""Cells along each side of a pair's map."""
_SMOOTHING = 0.12
"""Width of the kernel that a pair's map is smoothed with, as a share of the range."""
_BEST_SHARE, _BEST_COUNT = 0.1, 3
_PAIRED = 3
"""Hyperparameters of which each pair is mapped."""


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
    """From the lowest to the highest value among the best tenth of the ranked trials."""
    count = max(_BEST_COUNT, round(_BEST_SHARE * len(records)))
    values = [r.params[name] for r in records[:count] if name in r.params]
    numbers = [float(v) for v in values if isinstance(v, (int, float))]
    return (min(numbers), max(numbers)) if numbers else None


def slice_of(search: StoredSearch, name: str) -> Figure:
    """The objective against one hyperparameter, with the region of the best trials."""
    objective, parameter = search.study.objective, search.study.space[name]
    ranked = [record for record in usable(search.ranked) if name in record.params]
    rows: Rows = [
        {
            "x": _shown(parameter, record.params[name]),
            "value": short(_value(record, objective)),
            "status": record.status,
            "trial": record.trial_id,
        }
        for record in thinned(ranked, 1000)
    ]
    won = search.ranked[0].trial_id
    winner = [row for row in rows[:1] if row["trial"] == won]
    values = [_value(record, objective) for record in ranked]
    y = alt.Y(
        "value:Q",
        title=NAMES[objective.metric],
        scale=value_scale(values, objective),
        axis=value_axis(values, objective),
    )
    x = _axis_of(parameter, name)
    tips = [alt.Tooltip("trial:N"), alt.Tooltip("x", type=_kind(parameter), title=name),
            alt.Tooltip("value:Q", format=value_format(objective)), "status:N"]  # fmt: skip
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
            .encode(x=_axis_of(parameter, name, "low"), x2="high:Q")
        )
        layers.insert(0, band)
    where = f" The best tenth lie from {region[0]:.4g} to {region[1]:.4g}." if region else ""
    return figure(
        f"slice_{name}",
        name,
        f"{NAMES[objective.metric]} of {len(rows)} trials against {name}.{where}",
        alt.layer(*layers).properties(width="container", height=190),
        data,
    )


def _value(record: TrialRecord, objective: Objective) -> float:
    assert record.last is not None
    return float(getattr(record.last, objective.metric))


def _shown(parameter: Parameter, value: object) -> object:
    if isinstance(parameter, Choice) or isinstance(value, (bool, str)):
        return str(value)
    assert isinstance(value, (int, float))
    return short(value)


def _kind(parameter: Parameter) -> str:
    return "nominal" if isinstance(parameter, Choice) else "quantitative"


def _is_log(parameter: Parameter) -> bool:
    return isinstance(parameter, LogUniform) or (isinstance(parameter, Integer) and parameter.log)


def _axis_of(parameter: Parameter, name: str, field: str = "x") -> alt.X:
    if isinstance(parameter, Choice):
        values = [str(value) for value in parameter.choices]
        return alt.X(f"{field}:N", title=name, sort=values, axis=alt.Axis(labelAngle=0))
    log = _is_log(parameter)
    scale = alt.Scale(type="log", nice=False) if log else alt.Scale(zero=False, nice=False)
    axis = alt.Axis(tickCount=5)
    if log:
        axis = alt.Axis(values=log_ticks(parameter.low, parameter.high))  # type: ignore[union-attr]
    return alt.X(f"{field}:Q", title=name, scale=scale, axis=axis)


def parallel_coordinates(search: StoredSearch) -> Figure | None:
    """A line a trial over all hyperparameters and the objective; parameters hold the brushes.

    The page moves the parameters ``low_k`` and ``high_k`` of the k-th axis, from 0 to 1.
    """
    objective = search.study.objective
    ranked = usable(search.ranked)
    axes = [*search.study.space.varied, objective.metric]
    if len(axes) < 3 or len(ranked) < 3:
        return None
    numbered = list(enumerate(ranked, 1))
    best, rest = numbered[: MOST_LINES // 2], numbered[MOST_LINES // 2 :]
    shown = [*best, *thinned(rest, MOST_LINES - MOST_LINES // 2)][::-1]
    place = _result_places(ranked, objective)
    rows: Rows = [
        {"trial": r.trial_id, "rank": n, **_places(search, r), objective.metric: place(r)}
        for n, r in shown
    ]
    # A fold makes a row for each axis, in which all fields remain: so a test can ask them all.
    kept = " && ".join(
        f"(isValid(datum['{axis}']) ? datum['{axis}'] >= low_{k} && datum['{axis}'] <= high_{k}"
        f" : low_{k} <= 0 && high_{k} >= 1)"
        for k, axis in enumerate(axes)
    )
    x = alt.X("axis:N", title=None, scale=alt.Scale(domain=axes, type="point", padding=0.35),
              axis=alt.Axis(labelAngle=-20 if len(axes) > 5 else 0, domain=False, ticks=False,
                            labelLimit=110, labelPadding=18))  # fmt: skip
    y = alt.Y("place:Q", axis=None, scale=alt.Scale(domain=[0, 1]))
    lines = (
        alt.Chart(alt.NamedData("rows"))
        .transform_fold(axes, as_=["axis", "place"])
        .transform_filter("isValid(datum.place)")
        .mark_line(strokeWidth=1.3)
        .encode(
            x=x,
            y=y,
            detail="trial:N",
            color=alt.Color("rank:Q", scale=alt.Scale(range="ramp", type="sqrt"), title="rank",
                            legend=alt.Legend(format="d", tickCount=3, offset=20)),
            opacity=alt.condition(kept, alt.value(0.8), alt.value(0.04)),
            tooltip=["trial:N", "rank:Q"],
        )
    )  # fmt: skip
    brushes = (
        alt.Chart(alt.NamedData("axes"))
        .mark_rule(strokeWidth=7, strokeCap="round", opacity=0.28, style="muted")
        .encode(x=x, y=alt.Y("low:Q", axis=None), y2="high:Q")
        .transform_calculate(low=_picked("low", len(axes)), high=_picked("high", len(axes)))
    )
    ends = (
        alt.Chart(alt.NamedData("ends"))
        .mark_text(dy=alt.ExprRef("datum.place > 0.5 ? -9 : 11"), fontSize=10, style="note")
        .encode(x=x, y=alt.Y("place:Q", axis=None), text="text:N")
    )
    params = [
        alt.param(name=f"{side}_{k}", value=value)
        for k in range(len(axes))
        for side, value in (("low", 0), ("high", 1))
    ]
    chart = (brushes + lines + ends).add_params(*params)
    return figure(
        "parallel_coordinates",
        "Parallel coordinates",
        f"{len(rows)} trials, a line each, over {', '.join(axes)}.",
        chart.properties(width="container", height=320),
        {
            "rows": rows,
            "axes": [{"axis": axis, "k": k} for k, axis in enumerate(axes)],
            "ends": _axis_ends(search, axes, ranked),
        },
        "Draw along an axis to keep the trials that pass there; click it to let all pass."
        + (f" {len(rows)} of {len(ranked)} trials are drawn." if len(rows) < len(ranked) else ""),
    )


def _picked(side: str, count: int) -> str:
    """An expression: the k-th brush's end."""
    return " : ".join(
        [*(f"datum.k == {k} ? {side}_{k}" for k in range(count - 1)), f"{side}_{count - 1}"]
    )


def _places(search: StoredSearch, record: TrialRecord) -> dict[str, float | None]:
    places: dict[str, float | None] = {}
    for name in search.study.space.varied:
        parameter, value = search.study.space[name], record.params.get(name)
        if value is None:
            places[name] = None
        elif isinstance(parameter, Choice):
            count = max(1, len(parameter.choices) - 1)
            known = value in parameter.choices
            places[name] = parameter.choices.index(value) / count if known else None
        elif not isinstance(parameter, Fixed):
            places[name] = short(position(parameter, float(value)))
    return places


def _result_places(ranked: Sequence[TrialRecord], objective: Objective):  # type: ignore[no-untyped-def]
    """Where a trial's result lies between the worst, 0, and the best, 1, of all."""
    values = [_value(record, objective) for record in ranked]
    log = objective.minimize and min(values) > 0
    scaled = [math.log(v) if log else v for v in values]
    low, high = min(scaled), max(scaled)

    def place(record: TrialRecord) -> float | None:
        value = _value(record, objective)
        share = ((math.log(value) if log else value) - low) / (high - low or 1.0)
        return short(1 - share if objective.minimize else share)

    return place


def _axis_ends(search: StoredSearch, axes: Sequence[str], ranked: Sequence[TrialRecord]) -> Rows:
    ends: Rows = []
    objective = search.study.objective
    for axis in axes:
        if axis == objective.metric:
            bottom, top = _value(ranked[-1], objective), _value(ranked[0], objective)
        else:
            parameter = search.study.space[axis]
            assert not isinstance(parameter, Fixed)
            listed = parameter.choices if isinstance(parameter, Choice) else None
            bottom, top = (listed[0], listed[-1]) if listed else (parameter.low, parameter.high)  # type: ignore[union-attr,assignment]
        for place, value in ((0, bottom), (1, top)):
            text = f"{value:.3g}" if isinstance(value, float) else str(value)[:14]
            ends.append({"axis": axis, "place": place, "text": text})
    return ends


def pair_maps(search: StoredSearch, order: Sequence[str]) -> list[Figure]:
    """A map of the objective over each two of the most important numeric hyperparameters."""
    space = search.study.space
    numeric = [n for n in order if not isinstance(space[n], (Choice, Fixed))][:_PAIRED]
    maps = []
    for first, second in itertools.combinations(numeric, 2):
        records = [r for r in usable(search.ranked) if first in r.params and second in r.params]
        if len(records) >= 8:
            maps.append(_pair_map(search, records, first, second))
    return maps


def _pair_map(
    search: StoredSearch, records: Sequence[TrialRecord], first: str, second: str
) -> Figure:
    objective, space = search.study.objective, search.study.space
    names = (first, second)
    points = np.array([[position(space[n], float(r.params[n])) for n in names] for r in records])
    values = np.array([_value(record, objective) for record in records])
    log = objective.minimize and values.min() > 0
    cells = _smoothed(points, np.log(values) if log else values)
    rows: Rows = []
    for (i, j), z in np.ndenumerate(cells):
        if np.isfinite(z):
            edges = [_at(space[n], k / _GRID) for n, k in ((first, i), (first, i + 1),
                                                           (second, j), (second, j + 1))]  # fmt: skip
            row = dict(zip(("x", "x2", "y", "y2"), map(short, edges), strict=True))
            rows.append({**row, "value": short(math.exp(z) if log else float(z))})
    trials: Rows = [
        {"x": short(float(r.params[first])), "y": short(float(r.params[second])),
         "trial": r.trial_id, "value": short(_value(r, objective))}
        for r in thinned(records, 400)
    ]  # fmt: skip
    scales = [
        alt.Scale(type="log" if _is_log(space[n]) else "linear", nice=False,
                  domain=[float(space[n].low), float(space[n].high)])  # type: ignore[union-attr]
        for n in names
    ]  # fmt: skip
    axes = [
        alt.Axis(grid=False, values=log_ticks(space[n].low, space[n].high))  # type: ignore[union-attr]
        if _is_log(space[n])
        else alt.Axis(grid=False, tickCount=5)
        for n in names
    ]
    x = alt.X("x:Q", title=first, scale=scales[0], axis=axes[0])
    y = alt.Y("y:Q", title=second, scale=scales[1], axis=axes[1])
    steps = alt.Scale(type="quantize", range="heatmap", reverse=objective.minimize, nice=True)
    area = (
        alt.Chart(alt.NamedData("rows"))
        .mark_rect()
        .encode(x=x, x2="x2:Q", y=y, y2="y2:Q",
                color=alt.Color("value:Q", scale=steps, title=NAMES[objective.metric],
                                legend=alt.Legend(format=".2~g" if objective.minimize else ".0%")),
                tooltip=[alt.Tooltip("value:Q", format=value_format(objective))])
    )  # fmt: skip
    dots = (
        alt.Chart(alt.NamedData("trials"))
        .mark_point(filled=True, size=16, opacity=0.75, style="note")
        .encode(
            x=x, y=y, tooltip=["trial:N", alt.Tooltip("value:Q", format=value_format(objective))]
        )
    )
    ring = (
        alt.Chart(alt.NamedData("winner"))
        .mark_point(filled=False, size=140, strokeWidth=2.2, style="ring")
        .encode(x=x, y=y)
    )
    return figure(
        f"pair_{first}_{second}",
        f"{first} and {second}",
        f"A map of {NAMES[objective.metric]} over {first} and {second}, smoothed from "
        f"{len(records)} trials; the winner is ringed.",
        (area + dots + ring).properties(width="container", height=280),
        {"rows": rows, "trials": trials, "winner": trials[:1]},
    )


def _smoothed(points: np.ndarray, values: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Nadaraya and Watson's kernel mean at the cells' centres; NaN far from all trials."""
    centres = (np.arange(_GRID) + 0.5) / _GRID
    grid = np.stack(np.meshgrid(centres, centres, indexing="ij"), -1)
    squared = ((grid[:, :, None, :] - points) ** 2).sum(-1) / _SMOOTHING**2
    weights = np.exp(-squared / 2)
    total = weights.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        smooth: np.ndarray = np.where(total > 0.1, (weights * values).sum(-1) / total, np.nan)  # type: ignore[type-arg]
    return smooth


def _at(parameter: Parameter, share: float) -> float:
    low, high = float(parameter.low), float(parameter.high)  # type: ignore[union-attr]
    if _is_log(parameter):
        return float(low * (high / low) ** share)
    return low + share * (high - low)
