"""Figures of the search progress: best value, learning curves, rungs, worker timeline."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from handsigns.config.sections import Objective
from handsigns.reporting.figures.figure import (
    STATUSES,
    Figure,
    Rows,
    make_figure,
    round_sig,
    subsample,
    subsample_ranked,
)
from handsigns.reporting.figures.scales import (
    count_axis,
    rank_colour,
    status_colour,
    status_shape,
    time_unit,
    value_format,
    value_y,
)
from handsigns.results.statistics import OptimizationHistoryPoint, RungStats
from handsigns.results.timeline import Timeline
from handsigns.results.trial import TrialRecord

HEIGHT = 260
MAX_CURVES = 120
"""Maximum learning curves in a figure: a third for the best trials, the rest evenly sampled."""
_CURVE_POINTS = 60
_MAX_POINTS = 1500
_MAX_BARS = 1500
_SLOT_HEIGHT = 26
_ENDED_THERE = "paused or stopped"


def best_value_plot(
    points: Sequence[OptimizationHistoryPoint], objective: Objective, *, by_time: bool
) -> Figure:
    """Plot each trial's result, and the best value so far as a step line."""
    unit, unit_name = time_unit(max((p.seconds for p in points), default=0.0))
    rows: Rows = [
        {
            "x": round_sig(p.seconds / unit) if by_time else p.number,
            "value": round_sig(p.value),
            "best": round_sig(p.best),
            "trial": p.trial_id,
        }
        for p in subsample(points, _MAX_POINTS)
    ]
    title = f"elapsed time ({unit_name})" if by_time else "trials with a result"
    name = objective.label
    number_format = value_format(objective)
    axis = alt.Axis(tickCount=6) if by_time else count_axis(tickCount=6)
    x = alt.X("x:Q", title=title, axis=axis)
    base = alt.Chart(alt.NamedData("rows"))
    trials = base.mark_point(size=22, filled=True, opacity=0.45, style="muted").encode(
        x=x,
        y=value_y([p.value for p in points], objective),
        tooltip=[alt.Tooltip("trial:N"), alt.Tooltip("value:Q", title=name, format=number_format)],
    )
    best = base.mark_line(interpolate="step-after", strokeWidth=2.5, style="line").encode(
        x=x, y="best:Q"
    )
    over = "time" if by_time else "trials"
    first, last = (points[0].best, points[-1].best) if points else (0.0, 0.0)
    return make_figure(
        f"best_over_{over}",
        f"Best value over {over}",
        f"The best {name} improved from {first:.4g} to {last:.4g} over {len(points)} trials.",
        (trials + best).properties(width="container", height=HEIGHT),
        {"rows": rows},
        "Each dot is a trial's result after its last epoch; the line is the best value so far.",
    )


def learning_curves(
    ranked: Sequence[TrialRecord],
    objective: Objective,
    rungs: Sequence[int],
    *,
    has_rungs: bool,
) -> Figure:
    """Plot the objective over the epochs: a line per trial, coloured by rank, and the rungs.

    Args:
        ranked: trials, best first.
        objective: objective of the search.
        rungs: epochs of the rungs, or of the quarters of a search without; see `rungs`.
        has_rungs: whether the scheduler has rungs.
    """
    shown = subsample_ranked([r for r in ranked if r.epochs], MAX_CURVES, MAX_CURVES // 3)
    rows: Rows = []
    for rank, record in shown:
        for metrics in subsample(record.epochs, _CURVE_POINTS):
            row = {"trial": record.trial_id, "rank": rank, "epoch": metrics.epoch}
            rows.append(row | {"value": round_sig(objective.value_of(metrics))})
        rows[-1]["status"] = record.status
    values = [row["value"] for row in rows if row["value"] is not None]
    x = alt.X(
        "epoch:Q", title="epoch", scale=alt.Scale(nice=False),
        axis=alt.Axis(tickMinStep=1, format="d", tickCount=10))  # fmt: skip
    y = value_y(values, objective)
    tips = ["trial:N", "rank:Q", "epoch:Q", alt.Tooltip("value:Q", format=value_format(objective))]
    curves = alt.Chart(alt.NamedData("rows"))
    lines = curves.mark_line(strokeWidth=1.4).encode(
        x=x,
        y=y,
        color=rank_colour(max((rank for rank, _ in shown), default=1)),
        detail="trial:N",
        opacity=alt.condition("datum.rank == 1", alt.value(1.0), alt.value(0.75)),
        order="epoch:Q",
    )
    first = (
        curves.transform_filter("datum.rank == 1")
        .mark_line(strokeWidth=3.2, style="line")
        .encode(x=x, y=y, order="epoch:Q")
    )
    present = {record.status for _, record in shown}
    ends = (
        curves.transform_filter("isValid(datum.status)")
        .mark_point(size=34, filled=False, strokeWidth=1.6, opacity=1)
        .encode(
            x=x,
            y=y,
            color=status_colour(present, "bottom"),
            shape=status_shape(present, "bottom"),
            tooltip=[*tips, "status:N"],
        )
    )
    rung_lines = (
        alt.Chart(alt.NamedData("rungs"))
        .mark_rule(strokeDash=[3, 4], style="muted", opacity=0.6)
        .encode(x="epoch:Q")
    )
    return make_figure(
        "learning_curves",
        "Learning curves",
        f"{objective.label} of {len(shown)} trials over the epochs; the line of rank 1 is thick. "
        f"{'Rungs' if has_rungs else 'Quarters'} at epochs: "
        f"{', '.join(map(str, rungs)) or 'none'}.",
        # Ranks and statuses have separate colour scales; only within a layer are legends merged.
        (rung_lines + lines + first + ends)
        .resolve_scale(color="independent", shape="independent")
        .properties(width="container", height=340),
        {"rows": rows, "rungs": [{"epoch": epoch} for epoch in rungs]},
        _curves_caption(len(shown), sum(bool(r.epochs) for r in ranked), has_rungs),
    )


def _curves_caption(shown: int, total: int, has_rungs: bool) -> str:
    dashed = "rungs, where trials are compared" if has_rungs else "quarters of the epochs"
    text = (
        f"Better ranks are darker (brighter on a dark page). Dashed lines: {dashed}. Symbols: a "
        f"trial's last epoch and its status."
    )
    return text if shown == total else f"{text} {shown} of {total} trials are plotted."


def worker_timeline(timeline: Timeline, records: Sequence[TrialRecord]) -> Figure:
    """Plot which trial trained on which worker slot, and when."""
    unit, unit_name = time_unit(timeline.elapsed)
    status = {record.trial_id: record.status for record in records}
    rows: Rows = [
        {
            "slot": slot,
            "start": round_sig(segment.start / unit),
            "end": round_sig(segment.end / unit),
            "trial": segment.trial_id,
            "status": status.get(segment.trial_id, "running"),
            "epochs": segment.epochs,
        }
        for slot, segments in timeline.slots.items()
        for segment in segments
    ]
    bar_rows = subsample(rows, _MAX_BARS)
    bars = (
        alt.Chart(alt.NamedData("rows"))
        .mark_bar(cornerRadius=2, height=alt.RelativeBandSize(0.7))
        .encode(
            x=alt.X("start:Q", title=f"elapsed time ({unit_name})", axis=alt.Axis(tickCount=6)),
            x2="end:Q",
            y=alt.Y("slot:N", title=None, sort=list(timeline.slots)),
            color=status_colour({row["status"] for row in rows}),
            tooltip=["trial:N", "status:N", "epochs:Q", "slot:N"],
        )
    )
    caption = (
        f"Worker utilisation: {timeline.utilisation:.0%} of the slots' time was spent training, "
        f"the rest on startup, sampling and waiting."
    )
    if len(bar_rows) < len(rows):
        caption += f" {len(bar_rows)} of {len(rows)} segments are plotted."
    return make_figure(
        "timeline",
        "Worker timeline",
        f"{len(timeline.slots)} worker slots trained {len(status)} trials. {caption}",
        bars.properties(width="container", height=_SLOT_HEIGHT * max(1, len(timeline.slots))),
        {"rows": bar_rows},
        caption,
    )


def rung_funnel(rungs: Sequence[RungStats], *, has_rungs: bool) -> Figure:
    """Plot how many trials reached each rung, and how many were paused or stopped there.

    Args:
        rungs: statistics of the rungs, or of the quarters of a search without.
        has_rungs: whether the scheduler has rungs.
    """
    rows: Rows = []
    for rung in rungs:
        label = f"epoch {rung.epoch}"
        parts = (("continued", rung.reached - rung.stopped), (_ENDED_THERE, rung.stopped))
        for part, count in parts:
            rows.append({"rung": label, "part": part, "count": max(0, count)})
    labels: Rows = [
        {
            "rung": f"epoch {rung.epoch}",
            "reached": rung.reached,
            "text": f"{rung.reached}"
            + (f", {rung.stopped} {_ENDED_THERE}" if rung.stopped else ""),
        }
        for rung in rungs
    ]
    order = [f"epoch {rung.epoch}" for rung in rungs]
    top = max((rung.reached for rung in rungs), default=1)
    # In the colours of completed and stopped trials.
    renamed = {"completed": "continued", "stopped": _ENDED_THERE}
    domain = [renamed.get(status, status) for status in STATUSES]
    y = alt.Y("rung:N", title=None, sort=order)
    bars = (
        alt.Chart(alt.NamedData("rows"))
        .mark_bar(cornerRadius=2, height=alt.RelativeBandSize(0.62))
        .encode(
            y=y,
            x=alt.X("count:Q", title="trials", scale=alt.Scale(domain=[0, top * 1.45], nice=False),
                    axis=count_axis(tickCount=5)),
            color=alt.Color(
                "part:N",
                scale=alt.Scale(domain=domain, range="ordinal"),
                legend=alt.Legend(title=None, values=["continued", _ENDED_THERE]),
            ),
            tooltip=["rung:N", "part:N", "count:Q"],
        )
    )  # fmt: skip
    texts = (
        alt.Chart(alt.NamedData("labels"))
        .mark_text(align="left", dx=6, style="note")
        .encode(y=y, x="reached:Q", text="text:N")
    )
    return make_figure(
        "rungs",
        f"Trials per {'rung' if has_rungs else 'epoch'}",
        "; ".join(f"{row['rung']}: {row['text']}" for row in labels),
        (bars + texts).properties(width="container", height=34 * max(1, len(rungs))),
        {"rows": rows, "labels": labels},
        f"Trials that reached each rung. The worse ones are {_ENDED_THERE} there, which leaves "
        f"time for the better ones."
        if has_rungs
        else "Trials that reached each epoch.",
    )
