"""Parallel coordinates: all hyperparameters and the result at once, with a brush on each axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import altair as alt

from handsigns.config.hyperparameters import Scalar
from handsigns.config.search import Objective
from handsigns.config.space import Choice, Fixed, Integer, LogUniform, Parameter, Uniform
from handsigns.reporting.figures.figure import Figure, Rows, figure, short, thinned
from handsigns.reporting.figures.scales import rank_colour, result_of, usable
from handsigns.reporting.range_edges import position
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord

MOST_LINES = 120
"""More cannot be told apart."""
_WIDEST = 150
"""Pixels of an axis's name."""


def parallel_coordinates(search: StoredSearch) -> Figure | None:
    """A line a trial over all hyperparameters and the objective; parameters hold the brushes.

    The page moves the parameters ``low_k`` and ``high_k`` of the k-th axis, from 0 to 1.
    """
    objective = search.study.objective
    ranked = usable(search.ranked)
    axes: list[Any] = [*search.study.space.varied, objective.metric]
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
    # Before the fold, which makes a row of each axis, a trial's places are all in one row.
    kept = " && ".join(
        f"(isValid(datum['{axis}']) ? datum['{axis}'] >= low_{k} && datum['{axis}'] <= high_{k}"
        f" : low_{k} <= 0 && high_{k} >= 1)"
        for k, axis in enumerate(axes)
    )
    x = alt.X("axis:N", title=None, scale=alt.Scale(domain=axes, type="point", padding=0.35),
              axis=alt.Axis(labelAngle=0, domain=False, ticks=False,
                            labelLimit=_WIDEST, labelPadding=18))  # fmt: skip
    y = alt.Y("place:Q", axis=None, scale=alt.Scale(domain=[0, 1]))
    lines = (
        alt.Chart(alt.NamedData("rows"))
        .transform_calculate(kept=kept)
        .transform_fold(list(axes), as_=["axis", "place"])
        .transform_filter("isValid(datum.place)")
        .mark_line(strokeWidth=1.3)
        .encode(
            x=x,
            y=y,
            detail="trial:N",
            color=rank_colour(len(ranked)),
            opacity=alt.condition("datum.kept", alt.value(0.75), alt.value(0.04)),
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
        min_width=len(axes) * min(_WIDEST + 10, 10 + round(6.5 * max(14, *map(len, axes)))),
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


def _result_places(
    ranked: Sequence[TrialRecord], objective: Objective
) -> Callable[[TrialRecord], float | None]:
    """Where a trial's result lies between the worst, 0, and the best, 1, of all."""
    values = [result_of(record, objective) for record in ranked]
    log = objective.minimize and min(values) > 0
    scaled = [math.log(v) if log else v for v in values]
    low, high = min(scaled), max(scaled)

    def place(record: TrialRecord) -> float | None:
        value = result_of(record, objective)
        share = ((math.log(value) if log else value) - low) / (high - low or 1.0)
        return short(1 - share if objective.minimize else share)

    return place


def _axis_ends(search: StoredSearch, axes: Sequence[str], ranked: Sequence[TrialRecord]) -> Rows:
    ends: Rows = []
    bottom: Scalar
    top: Scalar
    objective = search.study.objective
    for axis in axes:
        if axis == objective.metric:
            bottom, top = result_of(ranked[-1], objective), result_of(ranked[0], objective)
        else:
            parameter = search.study.space[axis]
            bottom, top = _bounds(parameter)
        for place, value in ((0, bottom), (1, top)):
            text = f"{value:.3g}" if isinstance(value, float) else str(value)[:14]
            ends.append({"axis": axis, "place": place, "text": text})
    return ends


def _bounds(parameter: Parameter) -> tuple[Scalar, Scalar]:
    if isinstance(parameter, Choice):
        return parameter.choices[0], parameter.choices[-1]
    assert isinstance(parameter, (Uniform, LogUniform, Integer))
    return parameter.low, parameter.high
