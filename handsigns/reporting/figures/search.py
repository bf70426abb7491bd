"""Figures of what a search did: the best so far, learning curves, slots, rungs."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from handsigns.config.search import Objective
from handsigns.reporting.figures.figure import STATUSES, Figure, Rows, figure, short, thinned
from handsigns.reporting.figures.scales import (
    count_axis,
    rank_colour,
    status_colour,
    time_unit,
    value_axis,
    value_format,
    value_scale,
)
from handsigns.results.statistics import Point, Stage
from handsigns.results.timeline import Timeline
from handsigns.results.trial import TrialRecord

HEIGHT = 260
MOST_CURVES = 120
"""Learning curves in one figure: the best third of it, and the rest evenly taken."""
_CURVE_POINTS = 60
_MOST_POINTS = 1500
_MOST_BARS = 1500
_SLOT_HEIGHT = 26


def best_over(points: Sequence[Point], objective: Objective, *, by_time: bool) -> Figure:
    """Every trial's result, and the best until then as a step line."""
    unit, unit_name = time_unit(max((p.seconds for p in points), default=0.0))
    rows: Rows = [
        {
            "x": short(p.seconds / unit) if by_time else p.number,
            "value": short(p.value),
            "best": short(p.best),
            "trial": p.trial_id,
        }
        for p in thinned(points, _MOST_POINTS)
    ]
    title = f"{unit_name} of the search" if by_time else "trials that ended"
    scale = value_scale([p.value for p in points], objective)
    name = objective.name
    form = value_format(objective)
    axis = alt.Axis(tickCount=6) if by_time else count_axis(tickCount=6)
    x = alt.X("x:Q", title=title, axis=axis)
    base = alt.Chart(alt.NamedData("rows"))
    trials = base.mark_point(size=22, filled=True, opacity=0.45, style="muted").encode(
        x=x,
        y=alt.Y(
            "value:Q",
            title=name,
            scale=scale,
            axis=value_axis([p.value for p in points], objective),
        ),
        tooltip=[alt.Tooltip("trial:N"), alt.Tooltip("value:Q", title=name, format=form)],
    )
    best = base.mark_line(interpolate="step-after", strokeWidth=2.5, style="line").encode(
        x=x, y="best:Q"
    )
    what = "time" if by_time else "trials"
    first, last = (points[0].best, points[-1].best) if points else (0.0, 0.0)
    return figure(
        f"best_over_{what}",
        f"Best so far, over {what}",
        f"The best {name} went from {first:.4g} to {last:.4g} over {len(points)} trials.",
        (trials + best).properties(width="container", height=HEIGHT),
        {"rows": rows},
        "Each dot is a trial's result after its last epoch; the line is the best until then.",
    )


def learning_curves(
    ranked: Sequence[TrialRecord], objective: Objective, rungs: Sequence[int]
) -> Figure:
    """The objective over the epochs, a line a trial, coloured by rank, with the rungs."""
    shown = _shown_curves([r for r in ranked if r.epochs])
    rows: Rows = []
    for rank, record in shown:
        for metrics in thinned(record.epochs, _CURVE_POINTS):
            row = {"trial": record.trial_id, "rank": rank, "epoch": metrics.epoch}
            rows.append(row | {"value": short(objective.of(metrics))})
        rows[-1]["end"] = record.status
    values = [row["value"] for row in rows if row["value"] is not None]
    x = alt.X(
        "epoch:Q", title="epoch", scale=alt.Scale(nice=False),
        axis=alt.Axis(tickMinStep=1, format="d", tickCount=10))  # fmt: skip
    y = alt.Y(
        "value:Q",
        title=objective.name,
        scale=value_scale(values, objective),
        axis=value_axis(values, objective),
    )
    colour = rank_colour(max((rank for rank, _ in shown), default=1))
    tips = ["trial:N", "rank:Q", "epoch:Q", alt.Tooltip("value:Q", format=value_format(objective))]
    curves = alt.Chart(alt.NamedData("rows"))
    lines = curves.mark_line(strokeWidth=1.4).encode(
        x=x,
        y=y,
        color=colour,
        detail="trial:N",
        opacity=alt.condition("datum.rank == 1", alt.value(1.0), alt.value(0.75)),
        order="epoch:Q",
    )
    winner = (
        curves.transform_filter("datum.rank == 1")
        .mark_line(strokeWidth=3.2, style="line")
        .encode(x=x, y=y, order="epoch:Q")
    )
    ends = (
        curves.transform_filter("isValid(datum.end)")
        .mark_point(size=34, filled=False, strokeWidth=1.6)
        .encode(x=x, y=y, color=colour, shape=_end_shape(), tooltip=[*tips, "end:N"])
    )
    marks = (
        alt.Chart(alt.NamedData("rungs"))
        .mark_rule(strokeDash=[3, 4], style="muted", opacity=0.6)
        .encode(x="epoch:Q")
    )
    return figure(
        "learning_curves",
        "Learning curves",
        f"{len(shown)} trials' {objective.name} over the epochs; the winner's line is "
        f"thick. Trials were compared at epochs {', '.join(map(str, rungs)) or 'none'}.",
        (marks + lines + winner + ends).properties(width="container", height=340),
        {"rows": rows, "rungs": [{"epoch": epoch} for epoch in rungs]},
        _curves_caption(len(shown), sum(bool(r.epochs) for r in ranked)),
    )


def _end_shape() -> alt.Shape:
    shapes = ["circle", "cross", "triangle-right", "triangle-right", "diamond", "square"]
    return alt.Shape("end:N", scale=alt.Scale(domain=list(STATUSES), range=shapes), legend=None)


def _curves_caption(shown: int, there: int) -> str:
    text = (
        "The better the rank, the darker the line (the brighter, on a dark page). Dashed lines are "
        "rungs, where trials were compared; a cross is where one was stopped, a circle where one "
        "was completed."
    )
    return text if shown == there else f"{text} {shown} of {there} trials are drawn."


def _shown_curves(ranked: Sequence[TrialRecord]) -> list[tuple[int, TrialRecord]]:
    numbered = list(enumerate(ranked, 1))
    best, rest = numbered[: MOST_CURVES // 3], numbered[MOST_CURVES // 3 :]
    # The best are drawn last, on top.
    return [*best, *thinned(rest, MOST_CURVES - MOST_CURVES // 3)][::-1]


def slots(timeline: Timeline, records: Sequence[TrialRecord]) -> Figure:
    """Which trial trained where and when."""
    unit, unit_name = time_unit(timeline.elapsed)
    status = {record.trial_id: record.status for record in records}
    rows: Rows = [
        {
            "slot": slot,
            "begin": short(stint.begin / unit),
            "end": short(stint.end / unit),
            "trial": stint.trial_id,
            "status": status.get(stint.trial_id, "running"),
            "epochs": stint.epochs,
        }
        for slot, stints in timeline.slots.items()
        for stint in stints
    ]
    kept = thinned(rows, _MOST_BARS)
    bars = (
        alt.Chart(alt.NamedData("rows"))
        .mark_bar(cornerRadius=2, height=alt.RelativeBandSize(0.7))
        .encode(
            x=alt.X("begin:Q", title=f"{unit_name} of the search", axis=alt.Axis(tickCount=6)),
            x2="end:Q",
            y=alt.Y("slot:N", title=None, sort=list(timeline.slots)),
            color=status_colour({row["status"] for row in rows}),
            tooltip=["trial:N", "status:N", "epochs:Q", "slot:N"],
        )
    )
    caption = (
        f"{timeline.utilisation:.0%} of the slots' time was spent in epochs; the rest went into "
        f"starting, choosing and waiting."
    )
    if len(kept) < len(rows):
        caption += f" {len(kept)} of {len(rows)} stretches are drawn."
    return figure(
        "timeline",
        "Timeline of slots",
        f"{len(timeline.slots)} slots trained {len(status)} trials; {caption}",
        bars.properties(width="container", height=_SLOT_HEIGHT * max(1, len(timeline.slots))),
        {"rows": kept},
        caption,
    )


def rung_funnel(stages: Sequence[Stage]) -> Figure:
    """How many trials came to each rung, and how many were stopped there."""
    rows: Rows = []
    for stage in stages:
        label = f"epoch {stage.epoch}"
        parts = (("go on", stage.reached - stage.stopped), ("stopped here", stage.stopped))
        for part, count in parts:
            rows.append({"stage": label, "part": part, "count": max(0, count)})
    labels: Rows = [
        {
            "stage": f"epoch {stage.epoch}",
            "reached": stage.reached,
            "text": f"{stage.reached}" + (f", {stage.stopped} stopped" if stage.stopped else ""),
        }
        for stage in stages
    ]
    order = [f"epoch {stage.epoch}" for stage in stages]
    top = max((stage.reached for stage in stages), default=1)
    y = alt.Y("stage:N", title=None, sort=order)
    bars = (
        alt.Chart(alt.NamedData("rows"))
        .mark_bar(cornerRadius=2, height=alt.RelativeBandSize(0.62))
        .encode(
            y=y,
            x=alt.X("count:Q", title="trials", scale=alt.Scale(domain=[0, top * 1.45], nice=False),
                    axis=count_axis(tickCount=5)),
            color=alt.Color(
                "part:N",
                scale=alt.Scale(domain=["go on", "stopped here"], range="ordinal"),
                legend=alt.Legend(title=None),
            ),
            tooltip=["stage:N", "part:N", "count:Q"],
        )
    )  # fmt: skip
    texts = (
        alt.Chart(alt.NamedData("labels"))
        .mark_text(align="left", dx=6, style="note")
        .encode(y=y, x="reached:Q", text="text:N")
    )
    return figure(
        "rungs",
        "Rungs",
        "; ".join(f"{row['stage']}: {row['text']}" for row in labels),
        (bars + texts).properties(width="container", height=34 * max(1, len(stages))),
        {"rows": rows, "labels": labels},
        "How far trials came. At a rung the worse ones are stopped, so that time goes to the "
        "better.",
    )
