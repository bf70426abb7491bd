"""Figures of the retrained winner: confusion matrix, calibration, training curves."""

from __future__ import annotations

import altair as alt

from handsigns.reporting.figures.figure import Figure, Rows, make_figure, round_sig, subsample
from handsigns.reporting.figures.scales import count_axis
from handsigns.results.class_scores import ConfusedPair, confused_pairs
from handsigns.results.test_result import TestResult
from handsigns.results.winner import SeedRun
from handsigns.stats.calibration import Calibration

MAX_CLASSES = 40
"""Maximum classes of a confusion matrix; beyond it, the most confused pairs are plotted."""
_MAX_ANNOTATED_CLASSES = 30
"""Maximum classes for which a cell has room for its number."""
_MAX_PAIRS = 25
_CURVE_POINTS = 120


def confusion(test: TestResult) -> list[Figure]:
    """Plot the confusion matrix, or the most confused pairs of many classes (none: [])."""
    if len(test.classes) <= MAX_CLASSES:
        return [_confusion_matrix(test)]
    found = confused_pairs(test)
    return [_confused_pairs(test, found)] if found else []


def _confused_pairs(test: TestResult, found: list[ConfusedPair]) -> Figure:
    names = [_truncate(name, 24) for name in test.classes]
    rows: Rows = [
        {
            "pair": f"{n:03d} {names[pair.true]} → {names[pair.predicted]}",
            "images": pair.images,
            "text": f"{pair.images} of {sum(test.confusion_matrix[pair.true])}",
        }
        for n, pair in enumerate(found[:_MAX_PAIRS])
    ]
    axis = alt.Axis(labelExpr="slice(datum.label, 4)", labelLimit=330)
    base = alt.Chart(alt.NamedData("rows")).encode(
        y=alt.Y("pair:N", title=None, axis=axis),
        x=alt.X(
            "images:Q",
            title="test images",
            axis=count_axis(tickCount=5),
            scale=alt.Scale(domain=[0, 1.15 * found[0].images], nice=False),
        ),
    )
    bars = base.mark_bar(cornerRadius=2, height=alt.RelativeBandSize(0.7), style="line")
    texts = base.mark_text(align="left", dx=5, style="note").encode(text="text:N")
    return make_figure(
        "confusion_matrix",
        "Most confused classes",
        f"The {len(rows)} most frequent misclassifications of {len(found)}.",
        (bars + texts).properties(width="container", height=18 * len(rows)),
        {"rows": rows},
        f"True class → predicted class: the {len(rows)} most frequent of {len(found)} pairs among "
        f"{len(test.classes)} classes. The whole matrix is in winner/test.json.",
        min_width=620,
    )


def _truncate(name: str, max_length: int) -> str:
    return name if len(name) <= max_length else f"{name[: max_length - 1]}…"


def _confusion_matrix(test: TestResult) -> Figure:
    names = [_truncate(name, 40) for name in test.classes]
    # Names may be equal after truncation; the number makes them unique.
    keys = [f"{k:03d} {name}" for k, name in enumerate(names)]
    rows: Rows = [
        {
            "true": keys[i],
            "predicted": keys[j],
            "count": test.confusion_matrix[i][j],
            "share": round_sig(test.confusion_matrix[i][j] / max(1, sum(test.confusion_matrix[i]))),
        }
        for i in range(len(keys))
        for j in range(len(keys))
    ]
    many = len(keys) > 8
    axis = alt.Axis(labelExpr="slice(datum.label, 4)", labelLimit=110, ticks=False, domain=False)
    top = alt.Axis(labelExpr="slice(datum.label, 4)", labelLimit=75, ticks=False, domain=False,
                   orient="top", labelAngle=-90 if many else -40)  # fmt: skip
    side = 46 if len(keys) <= 8 else 30 if len(keys) <= 15 else 20
    base = alt.Chart(alt.NamedData("rows"))
    x = alt.X("predicted:N", title="predicted", axis=top, sort=keys)
    y = alt.Y("true:N", title="true", axis=axis, sort=keys)
    cells = base.mark_rect(cornerRadius=2).encode(
        x=x,
        y=y,
        color=alt.Color("share:Q", scale=alt.Scale(range="heatmap", type="sqrt", domain=[0, 1]),
                        title="share of the true class", legend=alt.Legend(format="%")),
        tooltip=[alt.Tooltip("count:Q", title="images"), alt.Tooltip("share:Q", format=".1%")],
    )  # fmt: skip
    chart: alt.Chart | alt.LayerChart = cells
    if len(keys) <= _MAX_ANNOTATED_CLASSES:
        size = 9 if many else 11
        deep = "datum.share > 0.35"
        numbers = (
            base.transform_filter("datum.count > 0").mark_text().encode(x=x, y=y, text="count:Q")
        )
        light = numbers.transform_filter(deep).mark_text(
            fontWeight=600, fontSize=size, style="on-heat"
        )
        dark = numbers.transform_filter(f"!({deep})").mark_text(fontSize=size, style="label")
        chart = cells + light + dark
    misclassified = test.total - test.correct
    return make_figure(
        "confusion_matrix",
        "Confusion matrix",
        f"{test.correct} of {test.total} test images are correct (on the diagonal), "
        f"{misclassified} misclassified.",
        chart.properties(width="container", height=side * max(1, len(keys))),
        {"rows": rows},
        min_width=130 + 20 * len(keys) if many else 0,
    )


def _legend_counts(calibration: Calibration) -> list[int]:
    """Return the smallest, the middle and the largest of the bins' distinct counts."""
    return subsample(sorted({b.count for b in calibration.bins}), 3)


def reliability(calibration: Calibration) -> Figure:
    """Plot the winner's accuracy against its confidence (reliability diagram)."""
    rows: Rows = [
        {"confidence": round_sig(b.confidence), "accuracy": round_sig(b.accuracy), "count": b.count}
        for b in calibration.bins
    ]
    share = alt.Scale(domain=[0, 1])
    axis = alt.Axis(format="%", tickCount=5)
    x = alt.X("confidence:Q", title="confidence", scale=share, axis=axis)
    y = alt.Y("accuracy:Q", title="accuracy", scale=share, axis=axis)
    line = (
        alt.Chart(alt.NamedData("ideal"))
        .mark_line(strokeDash=[4, 4], strokeWidth=1.5, style="muted")
        .encode(x=x, y=y)
    )
    base = alt.Chart(alt.NamedData("rows"))
    curve = base.mark_line(strokeWidth=2, style="line").encode(x=x, y=y)
    dots = base.mark_point(filled=True, opacity=1).encode(
        x=x,
        y=y,
        size=alt.Size("count:Q", title="images", scale=alt.Scale(range=[30, 320]),
                      legend=alt.Legend(format="d", values=_legend_counts(calibration))),
        tooltip=[alt.Tooltip("confidence:Q", format=".1%"),
                 alt.Tooltip("accuracy:Q", format=".1%"), "count:Q"],
    )  # fmt: skip
    return make_figure(
        "calibration",
        "Calibration",
        f"Accuracy against confidence in {len(rows)} bins; the expected calibration error is "
        f"{calibration.ece:.1%}.",
        (line + curve + dots).properties(width="container", height=280),
        {"rows": rows, "ideal": [{"confidence": v, "accuracy": v} for v in (0, 1)]},
        f"Dashed: perfect calibration. Expected calibration error: {calibration.ece:.1%}.",
    )


def retraining_curves(runs: tuple[SeedRun, ...]) -> Figure:
    """Plot the training loss over the epochs, a line per seed."""
    rows: Rows = [
        {"seed": f"seed {n}", "epoch": epoch.epoch, "loss": round_sig(epoch.train_loss)}
        for n, run in enumerate(runs, 1)
        for epoch in subsample(run.epochs, _CURVE_POINTS)
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
    return make_figure(
        "retraining",
        "Retraining",
        f"Training loss of {len(runs)} seeds over the epochs.",
        chart.properties(width="container", height=280),
        {"rows": rows},
        "There is no validation curve: the winner is trained on the validation split too.",
    )
