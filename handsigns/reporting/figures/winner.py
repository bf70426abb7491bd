"""Figures of the retrained winner: confusion, calibration, its seeds' training."""

from __future__ import annotations

import altair as alt

from handsigns.reporting.figures.figure import Figure, Rows, figure, short, thinned
from handsigns.results.winner import SeedRun, TestResult
from handsigns.stats.calibration import Calibration

MOST_CLASSES = 40
_NUMBERED_CLASSES = 15
"""Up to so many classes a cell has room for its number."""
_CURVE_POINTS = 120


def confusion_matrix(test: TestResult) -> Figure:
    """Pictures by true and predicted class."""
    names = [f"{name[:40]}" for name in test.classes[:MOST_CLASSES]]
    # Two classes may be cut to the same name; the number keeps them apart.
    keys = [f"{k:03d} {name}" for k, name in enumerate(names)]
    rows: Rows = [
        {
            "true": keys[i],
            "predicted": keys[j],
            "count": test.confusion[i][j],
            "share": short(test.confusion[i][j] / max(1, sum(test.confusion[i]))),
        }
        for i in range(len(keys))
        for j in range(len(keys))
    ]
    axis = alt.Axis(labelExpr="slice(datum.label, 4)", labelLimit=110, ticks=False, domain=False)
    top = alt.Axis(labelExpr="slice(datum.label, 4)", labelLimit=75, ticks=False, domain=False,
                   orient="top", labelAngle=-40)  # fmt: skip
    side = 46 if len(keys) <= 8 else 30 if len(keys) <= _NUMBERED_CLASSES else 14
    base = alt.Chart(alt.NamedData("rows"))
    x = alt.X("predicted:N", title="predicted", axis=top, sort=keys)
    y = alt.Y("true:N", title="true", axis=axis, sort=keys)
    cells = base.mark_rect(cornerRadius=2).encode(
        x=x,
        y=y,
        color=alt.Color("share:Q", scale=alt.Scale(range="heatmap", type="sqrt", domain=[0, 1]),
                        title="share of the true class", legend=alt.Legend(format="%")),
        tooltip=[alt.Tooltip("count:Q", title="pictures"), alt.Tooltip("share:Q", format=".1%")],
    )  # fmt: skip
    chart: alt.Chart | alt.LayerChart = cells
    if len(keys) <= _NUMBERED_CLASSES:
        deep = "datum.share > 0.35"
        numbers = (
            base.transform_filter("datum.count > 0").mark_text().encode(x=x, y=y, text="count:Q")
        )
        light = numbers.transform_filter(deep).mark_text(fontWeight=600, style="on-heat")
        dark = numbers.transform_filter(f"!({deep})").mark_text(style="label")
        chart = cells + light + dark
    wrong = test.total - test.correct
    caption = ""
    if len(test.classes) > MOST_CLASSES:
        caption = f"The first {MOST_CLASSES} of {len(test.classes)} classes."
    return figure(
        "confusion_matrix",
        "Confusion matrix",
        f"{test.correct} of {test.total} test pictures lie on the diagonal, {wrong} beside it.",
        chart.properties(width="container", height=side * max(1, len(keys))),
        {"rows": rows},
        caption,
    )


def reliability(calibration: Calibration) -> Figure:
    """How often the winner is right, against how sure it is."""
    rows: Rows = [
        {"confidence": short(b.confidence), "accuracy": short(b.accuracy), "count": b.count}
        for b in calibration.bins
    ]
    share = alt.Scale(domain=[0, 1])
    axis = alt.Axis(format="%", tickCount=5)
    x = alt.X("confidence:Q", title="how sure it is", scale=share, axis=axis)
    y = alt.Y("accuracy:Q", title="how often it is right", scale=share, axis=axis)
    line = (
        alt.Chart(alt.NamedData("ideal"))
        .mark_line(strokeDash=[4, 4], strokeWidth=1.5, style="muted")
        .encode(x=x, y=y)
    )
    base = alt.Chart(alt.NamedData("rows"))
    course = base.mark_line(strokeWidth=2, style="line").encode(x=x, y=y)
    dots = base.mark_point(filled=True, opacity=1).encode(
        x=x,
        y=y,
        size=alt.Size("count:Q", title="pictures", scale=alt.Scale(range=[30, 320])),
        tooltip=[alt.Tooltip("confidence:Q", format=".1%"),
                 alt.Tooltip("accuracy:Q", format=".1%"), "count:Q"],
    )  # fmt: skip
    return figure(
        "calibration",
        "Calibration",
        f"Accuracy against confidence in {len(rows)} bins; the expected calibration error is "
        f"{calibration.ece:.1%}.",
        (line + course + dots).properties(width="container", height=280),
        {"rows": rows, "ideal": [{"confidence": v, "accuracy": v} for v in (0, 1)]},
        f"On the dashed line it is as often right as it is sure. Expected calibration error: "
        f"{calibration.ece:.1%}.",
    )


def retraining_curves(runs: tuple[SeedRun, ...]) -> Figure:
    """Training loss over the epochs, a line a seed."""
    rows: Rows = [
        {"seed": f"seed {n}", "epoch": epoch.epoch, "loss": short(epoch.train_loss)}
        for n, run in enumerate(runs, 1)
        for epoch in thinned(run.epochs, _CURVE_POINTS)
    ]
    chart = (
        alt.Chart(alt.NamedData("rows"))
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("loss:Q", title="training loss", scale=alt.Scale(zero=False)),
            color=alt.Color("seed:N", title=None),
            tooltip=["seed:N", "epoch:Q", alt.Tooltip("loss:Q", format=".3~g")],
        )
    )
    return figure(
        "retraining",
        "Retraining",
        f"Training loss of {len(runs)} seeds over the epochs.",
        chart.properties(width="container", height=280),
        {"rows": rows},
        "There is no validation split any more: the winner is trained on it too.",
    )
