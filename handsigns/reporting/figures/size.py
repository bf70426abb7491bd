"""Figures of accuracy, or another score, against the size and the latency of the network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from handsigns.reporting.figures.figure import Figure, Rows, make_figure, round_sig, subsample
from handsigns.reporting.figures.scales import (
    SCORE_FORMAT,
    log_ticks,
    status_colour,
    status_shape,
    with_result,
)
from handsigns.results.store import StoredSearch
from handsigns.results.tables import network_column_names
from handsigns.stats.pareto import pareto_front

_MAX_POINTS = 800
_HEIGHT = 260
_TITLES = {
    "parameters": ("parameters", "parameters"),
    "latency_ms": ("latency", "latency of the untrained network (ms)"),
}
"""Name in the title, and axis title, by column."""


def size_figures(search: StoredSearch) -> list[Figure]:
    """Plot accuracy against parameters, and against latency if it was measured."""
    names = [n for n in network_column_names(search.journal.records) if n != "model_bytes"]
    return [_size_plot(search, name) for name in names]


def _cost_axis(costs: Sequence[float], number_format: str) -> dict[str, Any]:
    """Return a logarithmic scale and its axis; a linear one where values differ little."""
    low, high = min(costs, default=1.0), max(costs, default=1.0)
    if high < 3 * low:
        return {
            "scale": alt.Scale(zero=False, nice=True, padding=12),
            "axis": alt.Axis(tickCount=5, format=number_format),
        }
    return {
        "scale": alt.Scale(type="log", nice=False, padding=12),
        "axis": alt.Axis(values=log_ticks(low, high), format=number_format),
    }


def _size_plot(search: StoredSearch, name: str) -> Figure:
    objective = search.config.objective
    records = [r for r in with_result(search.ranked) if getattr(r.network, name, None) is not None]
    rows: Rows = [
        {
            "x": getattr(record.network, name),
            "score": round_sig(objective.score_of(record.epochs[-1])),
            "status": record.status,
            "trial": record.trial_id,
        }
        for record in records
        if math.isfinite(objective.score_of(record.epochs[-1]))
    ]
    # A trial that was stopped early would have become better.
    completed = [row for row in rows if row["status"] == "completed"]
    finished = completed or rows
    front = [finished[k] for k in pareto_front([(row["x"], row["score"]) for row in finished])]
    winner_id = search.winner.trial_id if search.winner else ""
    heading, title = _TITLES[name]
    number_format = "~g" if name == "latency_ms" else "~s"
    x = alt.X("x:Q", title=title, **_cost_axis([float(row["x"]) for row in rows], number_format))
    y = alt.Y(
        "score:Q",
        title=objective.score_label,
        scale=alt.Scale(zero=False, nice=True),
        axis=alt.Axis(format=SCORE_FORMAT, tickCount=5),
    )
    tips = [
        alt.Tooltip("trial:N"),
        alt.Tooltip("x:Q", title=name, format=",.3~f" if name == "latency_ms" else ","),
        alt.Tooltip("score:Q", title=objective.score, format=".2%"),
        alt.Tooltip("status:N"),
    ]
    present = {row["status"] for row in rows}
    points = (
        alt.Chart(alt.NamedData("rows"))
        .mark_point(filled=True, size=34, opacity=0.65)
        .encode(x=x, y=y, color=status_colour(present), shape=status_shape(present), tooltip=tips)
    )
    line = (
        alt.Chart(alt.NamedData("front"))
        .mark_line(interpolate="step-after", strokeWidth=2, style="line")
        .encode(x=x, y=y)
    )
    ring = (
        alt.Chart(alt.NamedData("winner"))
        .mark_point(filled=False, size=140, strokeWidth=2.2, style="ring")
        .encode(x=x, y=y)
    )
    members = "the trials that trained to the end" if completed else "all trials"
    listed = ", ".join(
        f"trial {row['trial']} {row['score']:.1%} at {row['x']:,}" for row in front[:8]
    )
    return make_figure(
        f"score_over_{name}",
        f"{objective.score_label.removeprefix('validation ').capitalize()} over {heading}",
        f"{objective.score_label} of {len(rows)} trials against {name}. Pareto front: {listed}.",
        (line + points + ring).properties(width="container", height=_HEIGHT),
        {
            "rows": subsample(rows, _MAX_POINTS),
            "front": front,
            "winner": [row for row in rows if row["trial"] == winner_id],
        },
        f"The line is the Pareto front of {members}: no other one is both "
        f"{'faster' if name == 'latency_ms' else 'smaller'} and better. The winner is ringed.",
    )
