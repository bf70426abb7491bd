"""Figures of a comparison: best value of each search over time and trials."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from handsigns.config.sections import Objective
from handsigns.reporting.figures import scales
from handsigns.reporting.figures.figure import Figure, Rows, make_figure, round_sig, subsample
from handsigns.reporting.figures.search import HEIGHT
from handsigns.results.statistics import optimization_history
from handsigns.results.store import StoredSearch
from handsigns.results.timeline import read_timeline

_MAX_POINTS = 1000


def comparison_figures(searches: Sequence[StoredSearch]) -> list[Figure]:
    """Plot each search's best value so far over time and over trials."""
    objective = searches[0].config.objective
    points = [
        (
            search.paths.name,
            optimization_history(search, read_timeline(search.paths.journal).last_trained),
        )
        for search in searches
    ]
    unit, unit_name = scales.time_unit(max((p.seconds for _, ps in points for p in ps), default=0))
    rows: Rows = []
    for search, (name, history) in zip(searches, points, strict=True):
        same_metric = search.config.objective.metric == objective.metric
        for p in subsample(history, _MAX_POINTS) if same_metric else ():
            rows.append(
                {"search": name, "time": round_sig(p.seconds / unit), "trials": p.number,
                 "best": round_sig(p.best)}
            )  # fmt: skip
    names = [search.paths.name for search in searches]
    return [
        _best_value_plot("time", f"elapsed time ({unit_name})", rows, names, objective),
        _best_value_plot("trials", "trials with a result", rows, names, objective),
    ]


def _best_value_plot(
    field: str, title: str, rows: Rows, names: Sequence[str], objective: Objective
) -> Figure:
    values = [row["best"] for row in rows]
    number_format = scales.value_format(objective)
    chart = (
        alt.Chart(alt.NamedData("rows"))
        .mark_line(interpolate="step-after", strokeWidth=2.5)
        .encode(
            x=alt.X(
                f"{field}:Q",
                title=title,
                axis=(scales.count_axis if field == "trials" else alt.Axis)(tickCount=6),
            ),
            y=alt.Y(
                "best:Q",
                title=objective.label,
                scale=scales.value_scale(values, objective),
                axis=scales.value_axis(values, objective),
            ),
            color=alt.Color("search:N", title=None, scale=alt.Scale(domain=list(names))),
            strokeDash=alt.StrokeDash("search:N", title=None, scale=alt.Scale(domain=list(names))),
            tooltip=["search:N", f"{field}:Q", alt.Tooltip("best:Q", format=number_format)],
        )
    )
    return make_figure(
        f"best_over_{field}",
        f"Best value over {field}",
        f"Best {objective.label} so far over {field} of {', '.join(names)}.",
        chart.properties(width="container", height=HEIGHT),
        {"rows": rows},
    )
