"""Figures of one trial, plotted by the page when the trial is opened."""

from __future__ import annotations

from typing import Any

import altair as alt


def trial_curves() -> dict[str, Any]:
    """Return specs of a trial's loss and accuracy curves; the page supplies the data `rows`."""
    base = alt.Chart(alt.NamedData("rows"), width="container", height=170)

    def panel(field: str, title: str, number_format: str) -> Any:
        return base.mark_line(point=alt.OverlayMarkDef(size=18), strokeWidth=2).encode(
            x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y(f"{field}:Q", title=title, scale=alt.Scale(zero=False),
                    axis=alt.Axis(format=number_format, tickCount=4)),
            color=alt.Color("split:N", title=None, scale=alt.Scale(
                domain=["validation", "training"], range="category")),
            strokeDash=alt.StrokeDash("split:N", title=None, scale=alt.Scale(
                domain=["validation", "training"], range=[[1, 0], [4, 3]])),
            tooltip=["epoch:Q", "split:N", alt.Tooltip(f"{field}:Q", format=number_format)],
        )  # fmt: skip

    panels = {
        "loss": panel("loss", "loss", ".3~g"),
        "accuracy": panel("accuracy", "accuracy", ".0%"),
    }
    specs = {}
    for name, chart in panels.items():
        specs[name] = chart.to_dict()
        specs[name].pop("config", None)
    return specs
