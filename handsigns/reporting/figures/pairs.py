"""Maps of the objective over two hyperparameters at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import altair as alt
import numpy as np
import numpy.typing as npt

from handsigns.config.space import Choice, Fixed, Integer, LogUniform, Parameter, Uniform
from handsigns.reporting.figures.figure import Figure, Rows, figure, short, thinned
from handsigns.reporting.figures.scales import log_ticks, result_of, usable, value_format
from handsigns.reporting.range_edges import is_log, position
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord

Floats = npt.NDArray[np.float64]

_GRID = 22
"""Cells along each side of a map."""
_SMOOTHING = 0.12
"""Width of the kernel that a map is smoothed with, as a share of the range."""
_LEAST_WEIGHT = 0.1
"""Of the trials around a cell, together; below it the cell stays blank. One right there has 1."""
_PAIRED = 3
"""Hyperparameters of which each pair is mapped."""
_FEWEST = 8
"""Trials from which a map is drawn."""


def pair_maps(search: StoredSearch, order: Sequence[str]) -> list[Figure]:
    """A map of the objective over each two of the most important numeric hyperparameters."""
    space = search.study.space
    numeric = [n for n in order if not isinstance(space[n], (Choice, Fixed))][:_PAIRED]
    maps = []
    for first, second in itertools.combinations(numeric, 2):
        records = [r for r in usable(search.ranked) if first in r.params and second in r.params]
        if len(records) >= _FEWEST:
            maps.append(_pair_map(search, records, first, second))
    return maps


def _pair_map(
    search: StoredSearch, records: Sequence[TrialRecord], first: str, second: str
) -> Figure:
    objective, space = search.study.objective, search.study.space
    names = (first, second)
    points = np.array([[position(space[n], float(r.params[n])) for n in names] for r in records])
    values = np.array([result_of(record, objective) for record in records])
    log = objective.minimize and values.min() > 0
    cells = _smoothed(points, np.log(values) if log else values)
    rows: Rows = []
    for (i, j), z in np.ndenumerate(cells):
        if np.isfinite(z):
            corners = ((first, i), (first, i + 1), (second, j), (second, j + 1))
            edges = [_at(space[n], k / _GRID) for n, k in corners]
            row = dict(zip(("x", "x2", "y", "y2"), map(short, edges), strict=True))
            rows.append({**row, "value": short(math.exp(z) if log else float(z))})
    won = search.winner.trial_id if search.winner else ""
    trials: Rows = [
        {"x": short(float(r.params[first])), "y": short(float(r.params[second])),
         "trial": r.trial_id, "value": short(result_of(r, objective))}
        for r in thinned(records, 400)
    ]  # fmt: skip
    scales = [
        alt.Scale(type="log" if is_log(space[n]) else "linear", nice=False,
                  domain=list(_bounds(space[n])))
        for n in names
    ]  # fmt: skip
    axes = [
        alt.Axis(grid=False, values=log_ticks(*_bounds(space[n])))
        if is_log(space[n])
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
                color=alt.Color("value:Q", scale=steps, title=objective.name,
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
        f"A map of {objective.name} over {first} and {second}, smoothed from "
        f"{len(records)} trials; the winner, if among them, is ringed.",
        (area + dots + ring).properties(width="container", height=280),
        {"rows": rows, "trials": trials, "winner": [row for row in trials if row["trial"] == won]},
    )


def _smoothed(points: Floats, values: Floats) -> Floats:
    """Nadaraya and Watson's kernel mean at the cells' centres; NaN far from all trials."""
    centres = (np.arange(_GRID) + 0.5) / _GRID
    grid = np.stack(np.meshgrid(centres, centres, indexing="ij"), -1)
    squared = ((grid[:, :, None, :] - points) ** 2).sum(-1) / _SMOOTHING**2
    weights = np.exp(-squared / 2)
    total = weights.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        smooth: Floats = np.where(total > _LEAST_WEIGHT, (weights * values).sum(-1) / total, np.nan)
    return smooth


def _at(parameter: Parameter, share: float) -> float:
    low, high = _bounds(parameter)
    if is_log(parameter):
        return float(low * (high / low) ** share)
    return low + share * (high - low)


def _bounds(parameter: Parameter) -> tuple[float, float]:
    assert isinstance(parameter, (Uniform, LogUniform, Integer))
    return float(parameter.low), float(parameter.high)
