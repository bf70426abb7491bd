"""Heat maps of the objective over pairs of hyperparameters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import numpy.typing as npt

from handsigns.config.parameters import Range
from handsigns.reporting.figures.figure import Figure, Rows, make_figure, round_sig, subsample
from handsigns.reporting.figures.scales import (
    axis_format,
    final_value,
    is_log_scale,
    log_ticks,
    value_format,
    with_result,
)
from handsigns.reporting.positions import normalized_position, value_at
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord

Floats = npt.NDArray[np.float64]

_GRID_SIZE = 22
"""Cells along each side of a heat map."""
_KERNEL_BANDWIDTH = 0.12
"""Bandwidth of the smoothing kernel, as a share of the range."""
_MIN_KERNEL_WEIGHT = 0.1
"""Minimum total weight of a cell that is not blank; a trial at its centre has weight 1."""
_NUM_PAIRED = 3
"""Number of hyperparameters of which each pair is plotted."""
_MIN_TRIALS = 8
"""Minimum number of trials for a heat map."""
_MAX_POINTS = 400


def pair_maps(search: StoredSearch, order: Sequence[str]) -> list[Figure]:
    """Plot the objective over each pair of the most important numeric hyperparameters."""
    space = search.config.space
    ranges = [(n, p) for n in order if isinstance(p := space[n], Range)][:_NUM_PAIRED]
    ranked = with_result(search.ranked)
    maps = []
    for pair in map(dict, itertools.combinations(ranges, 2)):
        records = [r for r in ranked if None not in _positions(pair, r)]
        if len(records) >= _MIN_TRIALS:
            maps.append(_pair_map(search, records, pair))
    return maps


def _positions(ranges: Mapping[str, Range], record: TrialRecord) -> list[float | None]:
    return [normalized_position(p, record.params.get(n)) for n, p in ranges.items()]


def _pair_map(
    search: StoredSearch, records: Sequence[TrialRecord], ranges: Mapping[str, Range]
) -> Figure:
    objective = search.config.objective
    first, second = ranges
    points = np.array([_positions(ranges, record) for record in records], dtype=np.float64)
    values = [final_value(record, objective) for record in records]
    log = is_log_scale(values, objective)
    cells = _kernel_mean(points, np.log(values) if log else np.array(values))
    rows: Rows = []
    for (i, j), z in np.ndenumerate(cells):
        if np.isfinite(z):
            corners = ((first, i), (first, i + 1), (second, j), (second, j + 1))
            edges = [value_at(ranges[n], k / _GRID_SIZE) for n, k in corners]
            row = dict(zip(("x", "x2", "y", "y2"), map(round_sig, edges), strict=True))
            rows.append({**row, "value": round_sig(math.exp(z) if log else float(z))})
    winner_id = search.winner.trial_id if search.winner else ""
    trials: Rows = [
        {"x": round_sig(float(r.params[first])), "y": round_sig(float(r.params[second])),
         "trial": r.trial_id, "value": round_sig(final_value(r, objective))}
        for r in records
    ]  # fmt: skip
    scales = [
        alt.Scale(type="log" if p.is_log else "linear", nice=False, domain=[p.low, p.high])
        for p in ranges.values()
    ]  # fmt: skip
    axes = [
        alt.Axis(grid=False, values=log_ticks(p.low, p.high))
        if p.is_log
        else alt.Axis(grid=False, tickCount=5)
        for p in ranges.values()
    ]
    x = alt.X("x:Q", title=first, scale=scales[0], axis=axes[0])
    y = alt.Y("y:Q", title=second, scale=scales[1], axis=axes[1])
    steps = alt.Scale(type="quantize", range="heatmap", reverse=objective.minimize, nice=True)
    heat = (
        alt.Chart(alt.NamedData("rows"))
        .mark_rect()
        .encode(x=x, x2="x2:Q", y=y, y2="y2:Q",
                color=alt.Color("value:Q", scale=steps, title=objective.label,
                                legend=alt.Legend(format=axis_format(objective))),
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
    return make_figure(
        f"pair_{first}_{second}",
        f"{first} and {second}",
        f"Heat map of {objective.label} over {first} and {second}, smoothed from "
        f"{len(records)} trials; the winner, if among them, is ringed.",
        (heat + dots + ring).properties(width="container", height=280),
        {
            "rows": rows,
            "trials": subsample(trials, _MAX_POINTS),
            "winner": [row for row in trials if row["trial"] == winner_id],
        },
    )


def _kernel_mean(points: Floats, values: Floats) -> Floats:
    """Return the Nadaraya-Watson kernel mean at the cells' centres; NaN far from all trials.

    Args:
        points: normalised positions of the trials, (trials, 2).
        values: their values, (trials,).
    """
    centres = (np.arange(_GRID_SIZE) + 0.5) / _GRID_SIZE
    grid = np.stack(np.meshgrid(centres, centres, indexing="ij"), -1)
    squared = ((grid[:, :, None, :] - points) ** 2).sum(-1) / _KERNEL_BANDWIDTH**2
    weights = np.exp(-squared / 2)
    total = weights.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        smooth: Floats = np.where(
            total > _MIN_KERNEL_WEIGHT, (weights * values).sum(-1) / total, np.nan
        )
    return smooth
