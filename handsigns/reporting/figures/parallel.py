"""Parallel coordinates of all hyperparameters and the objective, with a brush on each axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import altair as alt

from handsigns.config.hyperparameters import Scalar
from handsigns.config.parameters import Choice, Range
from handsigns.config.sections import Objective
from handsigns.reporting.figures.figure import (
    Figure,
    Rows,
    make_figure,
    round_sig,
    subsample_ranked,
)
from handsigns.reporting.figures.scales import (
    final_value,
    is_log_scale,
    rank_colour,
    with_result,
)
from handsigns.reporting.positions import normalized_position
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord

MAX_LINES = 120
"""Maximum lines; more are indistinguishable."""
_MAX_LABEL_WIDTH = 150
"""Maximum width of an axis's name, in pixels."""


def parallel_coordinates(search: StoredSearch) -> Figure | None:
    """Plot a line per trial over all hyperparameters and the objective.

    The page's script sets the brush of the k-th axis by the Vega parameters ``low_k`` and
    ``high_k``, in [0, 1].
    """
    objective = search.config.objective
    ranked = with_result(search.ranked)
    axes: list[Any] = [*search.config.space.searched_names, objective.metric]
    if len(axes) < 3 or len(ranked) < 3:
        return None
    position = _normalized_result(ranked, objective)
    rows: Rows = [
        {
            "trial": r.trial_id,
            "rank": n,
            **_axis_positions(search, r),
            objective.metric: position(r),
        }
        for n, r in subsample_ranked(ranked, MAX_LINES, MAX_LINES // 2)
    ]
    # Evaluated before the fold, which splits a trial's row into a row per axis.
    passes_brushes = " && ".join(
        f"(isValid(datum['{axis}']) ? datum['{axis}'] >= low_{k} && datum['{axis}'] <= high_{k}"
        f" : low_{k} <= 0 && high_{k} >= 1)"
        for k, axis in enumerate(axes)
    )
    # Vega reads a dot as access to a nested field.
    fields = [axis.replace(".", "\\.") for axis in axes]
    x = alt.X("axis:N", title=None, scale=alt.Scale(domain=axes, type="point", padding=0.35),
              axis=alt.Axis(labelAngle=0, domain=False, ticks=False,
                            labelLimit=_MAX_LABEL_WIDTH, labelPadding=18))  # fmt: skip
    y = alt.Y("position:Q", axis=None, scale=alt.Scale(domain=[0, 1]))
    lines = (
        alt.Chart(alt.NamedData("rows"))
        .transform_calculate(passes_brushes=passes_brushes)
        .transform_fold(fields, as_=["axis", "position"])
        .transform_filter("isValid(datum.position)")
        .mark_line(strokeWidth=1.3)
        .encode(
            x=x,
            y=y,
            detail="trial:N",
            color=rank_colour(len(ranked)),
            opacity=alt.condition("datum.passes_brushes", alt.value(0.75), alt.value(0.04)),
            tooltip=["trial:N", "rank:Q"],
        )
    )  # fmt: skip
    brushes = (
        alt.Chart(alt.NamedData("axes"))
        .mark_rule(strokeWidth=7, strokeCap="round", opacity=0.28, style="muted")
        .encode(x=x, y=alt.Y("low:Q", axis=None), y2="high:Q")
        .transform_calculate(
            low=_brush_bound("low", len(axes)), high=_brush_bound("high", len(axes))
        )
    )
    ends = (
        alt.Chart(alt.NamedData("ends"))
        .mark_text(dy=alt.ExprRef("datum.position > 0.5 ? -9 : 11"), fontSize=10, style="note")
        .encode(x=x, y=alt.Y("position:Q", axis=None), text="text:N")
    )
    params = [
        alt.param(name=f"{side}_{k}", value=value)
        for k in range(len(axes))
        for side, value in (("low", 0), ("high", 1))
    ]
    chart = (brushes + lines + ends).add_params(*params)
    return make_figure(
        "parallel_coordinates",
        "Parallel coordinates",
        f"{len(rows)} trials, one line each, over {', '.join(axes)}.",
        chart.properties(width="container", height=320),
        {
            "rows": rows,
            "axes": [{"axis": axis, "k": k} for k, axis in enumerate(axes)],
            "ends": _axis_ends(search, axes, ranked),
        },
        "Drag along an axis to select the trials that pass there; click it to reset its range."
        + (f" {len(rows)} of {len(ranked)} trials are plotted." if len(rows) < len(ranked) else ""),
        min_width=len(axes)
        * min(_MAX_LABEL_WIDTH + 10, 10 + round(6.5 * max(14, *map(len, axes)))),
    )


def _brush_bound(side: str, count: int) -> str:
    """Return a Vega expression for one side of the k-th axis's brush."""
    return " : ".join(
        [*(f"datum.k == {k} ? {side}_{k}" for k in range(count - 1)), f"{side}_{count - 1}"]
    )


def _axis_positions(search: StoredSearch, record: TrialRecord) -> dict[str, float | None]:
    positions: dict[str, float | None] = {}
    for name in search.config.space.searched_names:
        parameter, value = search.config.space[name], record.params.get(name)
        if isinstance(parameter, Choice):
            count = max(1, len(parameter.choices) - 1)
            known = value in parameter.choices
            positions[name] = parameter.choices.index(value) / count if known else None
        elif isinstance(parameter, Range):
            positions[name] = round_sig(normalized_position(parameter, value))
    return positions


def _normalized_result(
    ranked: Sequence[TrialRecord], objective: Objective
) -> Callable[[TrialRecord], float | None]:
    """Return a function that maps a trial's result to [0, 1], from the worst to the best."""
    values = [final_value(record, objective) for record in ranked]
    log = is_log_scale(values, objective)
    scaled = [math.log(v) if log else v for v in values]
    low, high = min(scaled), max(scaled)

    def position(record: TrialRecord) -> float | None:
        value = final_value(record, objective)
        share = ((math.log(value) if log else value) - low) / (high - low or 1.0)
        return round_sig(1 - share if objective.minimize else share)

    return position


def _axis_ends(search: StoredSearch, axes: Sequence[str], ranked: Sequence[TrialRecord]) -> Rows:
    ends: Rows = []
    bottom: Scalar
    top: Scalar
    objective = search.config.objective
    for axis in axes:
        if axis == objective.metric:
            bottom, top = final_value(ranked[-1], objective), final_value(ranked[0], objective)
        elif isinstance(parameter := search.config.space[axis], Range):
            bottom, top = parameter.low, parameter.high
        else:
            listed = parameter.values()
            bottom, top = listed[0], listed[-1]
        for position, value in ((0, bottom), (1, top)):
            text = f"{value:.3g}" if isinstance(value, float) else str(value)[:14]
            ends.append({"axis": axis, "position": position, "text": text})
    return ends
