"""Figures of one trial, plotted by the page when the trial is opened."""

from __future__ import annotations

from typing import Any

import altair as alt

from handsigns.config.sections import Objective
from handsigns.reporting.figures.scales import SCORE_FORMAT


def trial_curves(objective: Objective) -> dict[str, Any]:
    """Return specs of a trial's loss and score curves; the page supplies the data `rows`.

    They show the validation accuracy and, if that is another one, the score of the objective.
    """
    scores = [] if objective.score == "val_accuracy" else [objective.score_label]
    base = alt.Chart(alt.NamedData("rows"), width="container", height=170)

    def panel(field: str, axis_format: str, value_format: str, splits: list[str]) -> Any:
        return base.mark_line(point=alt.OverlayMarkDef(size=18), strokeWidth=2).encode(
            x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y(f"{field}:Q", title=field, scale=alt.Scale(zero=False),
                    axis=alt.Axis(format=axis_format, tickCount=4)),
            color=alt.Color("split:N", title=None, scale=alt.Scale(
                domain=splits, range="category")),
            strokeDash=alt.StrokeDash("split:N", title=None, scale=alt.Scale(
                domain=splits, range=[[1, 0], [4, 3], [1, 0]])),
            tooltip=["epoch:Q", "split:N", alt.Tooltip(f"{field}:Q", format=value_format)],
        )  # fmt: skip

    panels = {
        "loss": panel("loss", "~g", ".3~g", ["validation", "training"]),
        "accuracy": panel("accuracy", SCORE_FORMAT, ".2%", ["validation", "training", *scores]),
    }
    specs = {}
    for name, chart in panels.items():
        specs[name] = chart.to_dict()
        specs[name].pop("config", None)
    return specs
