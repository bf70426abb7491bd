"""Context of the report's template: figures, leaderboard, and each trial's data for the script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from handsigns.config.sections import Objective
from handsigns.console.failure import parse_failure
from handsigns.console.format import MISSING
from handsigns.console.progress import ProgressCallback
from handsigns.console.sanitize import printable
from handsigns.reporting.figures import importance as importance_figures
from handsigns.reporting.figures import pairs as pair_figures
from handsigns.reporting.figures import parallel as parallel_figures
from handsigns.reporting.figures import search as search_figures
from handsigns.reporting.figures import size as size_figures
from handsigns.reporting.figures import winner as winner_figures
from handsigns.reporting.figures.figure import Figure, round_sig, subsample
from handsigns.reporting.figures.scales import with_result
from handsigns.reporting.importance import METHOD, MIN_TRIALS, Importances, importances
from handsigns.reporting.leaderboard import format_cell, shown_columns
from handsigns.reporting.winner import WinnerSummary
from handsigns.results.class_scores import worst_classes
from handsigns.results.statistics import optimization_history, rung_stats, rungs
from handsigns.results.store import StoredSearch
from handsigns.results.tables import leaderboard_table
from handsigns.results.test_result import TestResult
from handsigns.results.timeline import Timeline
from handsigns.results.trial import TrialRecord
from handsigns.stats.intervals import wilson_interval

_MAX_CURVE_EPOCHS = 45_000
"""Maximum epochs of all trials on the page; beyond it, curves are subsampled."""
_MIN_CURVE_POINTS = 12
_MAX_ERROR_CHARS = 4000
MAX_CLASSES = 40
"""Maximum classes in a table of the page; beyond it, the worst are shown."""
_MAX_SLICES = 12
_MIN_SLICE_TRIALS = 3
"""Minimum trials for a slice plot."""


@dataclass(frozen=True)
class Cell:
    """Leaderboard cell: its text, and its sort key where that differs."""

    name: str
    display: str
    sort_key: str | None
    is_text: bool


@dataclass(frozen=True)
class Row:
    """Leaderboard row."""

    trial_id: str
    status: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Column:
    """Leaderboard column."""

    title: str
    is_text: bool


@dataclass(frozen=True)
class ReportFigures:
    """All figures of a search.

    Attributes:
        progress: figures of the search progress.
        size: figures of accuracy against the size and latency of the network.
        importance, parallel, slices, pairs: figures of the hyperparameter analysis.
        winner: figures of the winner's retraining and test.
        importance_note: how the importance is estimated, or why it is not.
    """

    progress: list[Figure] = field(default_factory=list)
    size: list[Figure] = field(default_factory=list)
    importance: Figure | None = None
    importance_note: str = ""
    parallel: Figure | None = None
    slices: list[Figure] = field(default_factory=list)
    pairs: list[Figure] = field(default_factory=list)
    winner: list[Figure] = field(default_factory=list)

    def __iter__(self) -> Iterator[Figure]:
        yield from (*self.progress, *self.size)
        yield from (f for f in (self.importance, self.parallel) if f is not None)
        yield from (*self.slices, *self.pairs, *self.winner)


def make_report_figures(
    search: StoredSearch,
    winner_summary: WinnerSummary,
    timeline: Timeline,
    report: ProgressCallback,
) -> ReportFigures:
    """Make all figures for which there is data."""
    if not with_result(search.journal.records):
        return ReportFigures(winner=_winner_figures(winner_summary))
    estimates = importances(search, report)
    varied = search.config.space.searched_names
    order = [p.name for p in estimates.parameters] if estimates else list(varied)
    ranked = with_result(search.ranked)
    sliced = [n for n in order if sum(n in r.params for r in ranked) >= _MIN_SLICE_TRIALS]
    return ReportFigures(
        progress=_progress_figures(search, timeline),
        size=size_figures.size_figures(search),
        importance=importance_figures.importance_bars(estimates) if estimates else None,
        importance_note=_importance_note(estimates),
        parallel=parallel_figures.parallel_coordinates(search),
        slices=[importance_figures.slice_plot(search, name) for name in sliced[:_MAX_SLICES]],
        pairs=pair_figures.pair_maps(search, order),
        winner=_winner_figures(winner_summary),
    )


def _progress_figures(search: StoredSearch, timeline: Timeline) -> list[Figure]:
    objective = search.config.objective
    has_rungs = search.config.scheduler.has_rungs
    points = optimization_history(search, timeline.last_trained)
    figures = []
    if len(points) > 1:
        figures += [
            search_figures.best_value_plot(points, objective, by_time=by_time)
            for by_time in (True, False)
        ]
    figures += [
        search_figures.learning_curves(
            with_result(search.ranked),
            objective,
            rungs(search.config, search.journal),
            has_rungs=has_rungs,
        ),
        search_figures.rung_funnel(rung_stats(search), has_rungs=has_rungs),
    ]
    if timeline.slots:
        figures.append(search_figures.worker_timeline(timeline, search.journal.records))
    return figures


def _winner_figures(winner_summary: WinnerSummary) -> list[Figure]:
    figures = []
    if winner_summary.test is not None:
        figures += winner_figures.confusion(winner_summary.test)
        figures.append(winner_figures.reliability(winner_summary.test.calibration))
    if winner_summary.retraining is not None:
        figures.append(winner_figures.retraining_curves(winner_summary.retraining.runs))
    return figures


def _importance_note(estimates: Importances | None) -> str:
    if estimates is None:
        return (
            f"Estimating importance requires at least {MIN_TRIALS} trials with a result and two "
            f"hyperparameters that vary."
        )
    return (
        f"{METHOD}: how much each hyperparameter alone determines whether one of the "
        f"{estimates.trials} trials is among the best {estimates.num_top_trials}. It uses only the "
        f"trials' ranking, so early stopping does not bias it. Thin lines: 90 % bootstrap "
        f"intervals ({estimates.resamples} resamples); where they overlap, the order is uncertain."
    )


def leaderboard_rows(search: StoredSearch) -> tuple[list[Column], list[Row]]:
    """Return the leaderboard with the hyperparameters that vary."""
    names = shown_columns(search)
    columns, rows = [], []
    table = leaderboard_table(search.journal.records, search.config.objective).rows()
    for name in names:
        is_text = any(isinstance(row.get(name), str) for row in table)
        columns.append(Column("trial" if name == "trial_id" else name, is_text))
    for row in table:
        cells = tuple(
            _cell(name, row.get(name), c.is_text) for name, c in zip(names, columns, strict=True)
        )
        rows.append(Row(row["trial_id"], row["status"], cells))
    return columns, rows


def _cell(name: str, value: Any, is_text: bool) -> Cell:
    number = isinstance(value, float) and value == value
    return Cell(name, format_cell(name, value), f"{value:.8g}" if number else None, is_text)


def trials_payload(search: StoredSearch) -> dict[str, Any]:
    """Return each trial's configuration and curves, subsampled in a long search."""
    records = search.journal.records
    total = sum(len(record.epochs) for record in records)
    max_points = max(_MIN_CURVE_POINTS, max((len(r.epochs) for r in records), default=1))
    if total > _MAX_CURVE_EPOCHS:
        max_points = max(_MIN_CURVE_POINTS, _MAX_CURVE_EPOCHS // max(1, len(records)))
    names = list(dict.fromkeys(name for r in records for name in r.config.hyperparameters()))
    return {
        "hyperparameters": names,
        "score": search.config.objective.score_label,
        "trials": {
            record.trial_id: _trial(record, names, max_points, search.config.objective)
            for record in records
        },
    }


def _trial(
    record: TrialRecord, names: list[str], max_points: int, objective: Objective
) -> dict[str, Any]:
    epochs = subsample(record.epochs, max_points)
    series = {name: name for name in ("val_loss", "val_accuracy", "train_loss", "train_accuracy")}
    if objective.score != "val_accuracy":
        series["val_score"] = objective.score
    thinned = "" if len(epochs) == len(record.epochs) else f"; {len(epochs)} epochs are plotted"
    node = f", on {record.placement.node}" if record.placement else ""
    retries = f", retries: {record.retries}" if record.retries else ""
    config = record.config.hyperparameters()
    failed = f": {parse_failure(record.error)}" if record.error.strip() else ""
    return {
        "summary": printable(
            f"{record.status} after {len(record.epochs)} epochs in {record.seconds:.1f} s{node}; "
            f"seed {record.seed}{retries}{thinned}{failed}"
        ),
        "error": record.error.strip()[-_MAX_ERROR_CHARS:],
        "searched": list(record.params),
        "config": [_rounded(config.get(name, MISSING)) for name in names],
        "epoch": [metrics.epoch for metrics in epochs],
        **{
            key: [round_sig(getattr(metrics, name)) for metrics in epochs]
            for key, name in series.items()
        },
    }


def _rounded(value: object) -> object:
    return round_sig(value) if isinstance(value, float) else value


def per_class(test: TestResult) -> list[dict[str, Any]]:
    """Return precision and recall of each class with their intervals, None where undefined.

    Of more than `MAX_CLASSES` classes, the worst.
    """
    rows = []
    index = {name: k for k, name in enumerate(test.classes)}
    for score in worst_classes(test, MAX_CLASSES):
        k = index[score["class"]]
        correct, true = test.confusion_matrix[k][k], score["images"]
        predicted = sum(row[k] for row in test.confusion_matrix)
        rows.append(
            {
                "name": score["class"],
                **score,
                "precision_interval": wilson_interval(correct, predicted) if predicted else None,
                "recall_interval": wilson_interval(correct, true) if true else None,
            }
        )
    return rows
