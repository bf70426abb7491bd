"""Figures of several searches side by side: the best so far of each."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from handsigns.config.search import Objective
from handsigns.reporting.figures import scales
from handsigns.reporting.figures.figure import Figure, Rows, figure, short, thinned
from handsigns.reporting.figures.search import HEIGHT
from handsigns.results.statistics import best_so_far
from handsigns.results.store import StoredSearch
from handsigns.results.timeline import read_timeline

_MOST_POINTS = 1000


def comparison_figures(searches: Sequence[StoredSearch]) -> list[Figure]:
    """Return the best result until then of each search, over time and over trials."""
    objective = searches[0].study.objective
    points = [
        (search.paths.name, best_so_far(search, read_timeline(search.paths.journal).heard))
        for search in searches
    ]
    unit, unit_name = scales.time_unit(max((p.seconds for _, ps in points for p in ps), default=0))
    rows: Rows = []
    for search, (name, found) in zip(searches, points, strict=True):
        own = search.study.objective.metric == objective.metric
        for p in thinned(found, _MOST_POINTS) if own else ():
            rows.append(
                {"search": name, "time": short(p.seconds / unit), "trials": p.number,
                 "best": short(p.best)}
            )  # fmt: skip
    names = [search.paths.name for search in searches]
    return [
        _best_over("time", f"{unit_name} of the search", rows, names, objective),
        _best_over("trials", "trials that ended", rows, names, objective),
    ]


def _best_over(
    field: str, title: str, rows: Rows, names: Sequence[str], objective: Objective
) -> Figure:
    values = [row["best"] for row in rows]
    form = scales.value_format(objective)
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
                title=objective.name,
                scale=scales.value_scale(values, objective),
                axis=scales.value_axis(values, objective),
            ),
            color=alt.Color("search:N", title=None, scale=alt.Scale(domain=list(names))),
            strokeDash=alt.StrokeDash("search:N", title=None, scale=alt.Scale(domain=list(names))),
            tooltip=["search:N", f"{field}:Q", alt.Tooltip("best:Q", format=form)],
        )
    )
    return figure(
        f"best_over_{field}",
        f"Best so far, over {field}",
        f"The best {objective.name} over {field} of {', '.join(names)}.",
        chart.properties(width="container", height=HEIGHT),
        {"rows": rows},
    )
