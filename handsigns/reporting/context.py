"""What the page of a search shows: its figures, its table, and every trial for the script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from handsigns.console.failure import failure_of
from handsigns.console.sanitize import printable
from handsigns.reporting.figures import importance as importance_figures
from handsigns.reporting.figures import pairs as pair_figures
from handsigns.reporting.figures import parallel as parallel_figures
from handsigns.reporting.figures import search as search_figures
from handsigns.reporting.figures import winner as winner_figures
from handsigns.reporting.figures.figure import Figure, short, thinned
from handsigns.reporting.figures.scales import usable
from handsigns.reporting.importance import FEWEST, METHOD, Importances, importances
from handsigns.reporting.leaderboard import ALWAYS, shown
from handsigns.reporting.winner import Winner
from handsigns.results.class_scores import worst_classes
from handsigns.results.statistics import best_so_far, funnel, rungs
from handsigns.results.store import StoredSearch
from handsigns.results.tables import leaderboard_table
from handsigns.results.timeline import Timeline
from handsigns.results.trial import TrialRecord
from handsigns.results.winner import TestResult
from handsigns.stats.intervals import wilson_interval

_EPOCHS_KEPT = 45_000
"""Of all trials together, for the curves on the page; more are thinned."""
_FEWEST_POINTS = 12
_LONGEST_ERROR = 4000
MOST_CLASSES = 40
"""In a table of the page; of more the worst are shown."""
_MOST_SLICES = 12
_FEWEST_IN_SLICE = 3
"""Trials; of fewer there is nothing to see."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Cell:
    """Of the leaderboard: what is shown, and what is sorted by, where that is another."""

    name: str
    shown: str
    key: str | None
    text: bool


@dataclass(frozen=True)
class Row:
    """Of the leaderboard."""

    trial_id: str
    status: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Column:
    """Of the leaderboard."""

    title: str
    text: bool


@dataclass(frozen=True)
class Drawings:
    """All figures of a search.

    Attributes:
        course: what the search did.
        importance, parallel, slices, pairs: what it learned.
        winner: what the test found.
        importance_note: how the importance was reckoned, or why it was not.
    """

    course: list[Figure] = field(default_factory=list)
    importance: Figure | None = None
    importance_note: str = ""
    parallel: Figure | None = None
    slices: list[Figure] = field(default_factory=list)
    pairs: list[Figure] = field(default_factory=list)
    winner: list[Figure] = field(default_factory=list)

    def __iter__(self) -> Iterator[Figure]:
        yield from self.course
        yield from (f for f in (self.importance, self.parallel) if f is not None)
        yield from (*self.slices, *self.pairs, *self.winner)


def drawings(search: StoredSearch, known: Winner, timeline: Timeline, report: Progress) -> Drawings:
    """All that can be drawn of what there is."""
    if not usable(search.journal.records):
        return Drawings(winner=_of_winner(known))
    found = importances(search, report)
    varied = search.study.space.varied
    order = [one.name for one in found.each] if found else list(varied)
    ranked = usable(search.ranked)
    seen = [n for n in order if sum(n in r.params for r in ranked) >= _FEWEST_IN_SLICE]
    return Drawings(
        course=_course(search, timeline),
        importance=importance_figures.importance_bars(found) if found else None,
        importance_note=_importance_note(found),
        parallel=parallel_figures.parallel_coordinates(search),
        slices=[importance_figures.slice_of(search, name) for name in seen[:_MOST_SLICES]],
        pairs=pair_figures.pair_maps(search, order),
        winner=_of_winner(known),
    )


def _course(search: StoredSearch, timeline: Timeline) -> list[Figure]:
    objective = search.study.objective
    points = best_so_far(search, timeline.heard)
    found = []
    if len(points) > 1:
        found += [search_figures.best_over(points, objective, by_time=way) for way in (True, False)]
    found += [
        search_figures.learning_curves(
            usable(search.ranked), objective, rungs(search.study, search.journal)
        ),
        search_figures.rung_funnel(funnel(search)),
    ]
    if timeline.slots:
        found.append(search_figures.slots(timeline, search.journal.records))
    return found


def _of_winner(known: Winner) -> list[Figure]:
    found = []
    if known.test is not None:
        found += winner_figures.confusion(known.test)
        found.append(winner_figures.reliability(known.test.calibration))
    if known.retraining is not None:
        found.append(winner_figures.retraining_curves(known.retraining.runs))
    return found


def _importance_note(found: Importances | None) -> str:
    if found is None:
        return (
            f"It takes {FEWEST} trials with a result, and two hyperparameters that vary, to say "
            f"which of them matters."
        )
    return (
        f"{METHOD}: how much each hyperparameter alone decides whether one of the {found.trials} "
        f"trials is among the best {found.good}. It needs their order only, so early stopping does "
        f"not mislead it. The thin lines hold the middle 90 % of {found.resamples} resamples of "
        f"the trials: where they overlap, the order is open."
    )


def table(search: StoredSearch) -> tuple[list[Column], list[Row]]:
    """The leaderboard with the hyperparameters that vary."""
    names = [*ALWAYS, *search.study.space.varied]
    columns, rows = [], []
    found = leaderboard_table(search.journal.records, search.study.objective).rows()
    for name in names:
        text = any(isinstance(row.get(name), str) for row in found)
        columns.append(Column("trial" if name == "trial_id" else name, text))
    for row in found:
        cells = tuple(
            _cell(name, row.get(name), c.text) for name, c in zip(names, columns, strict=True)
        )
        rows.append(Row(row["trial_id"], row["status"], cells))
    return columns, rows


def _cell(name: str, value: Any, text: bool) -> Cell:
    number = isinstance(value, float) and value == value
    return Cell(name, shown(name, value), f"{value:.8g}" if number else None, text)


def trials_payload(search: StoredSearch) -> dict[str, Any]:
    """Every trial's curves and configuration, for the script; long searches' curves are thinned."""
    records = search.journal.records
    total = sum(len(record.epochs) for record in records)
    most = max(_FEWEST_POINTS, max((len(r.epochs) for r in records), default=1))
    if total > _EPOCHS_KEPT:
        most = max(_FEWEST_POINTS, _EPOCHS_KEPT // max(1, len(records)))
    names = list(dict.fromkeys(name for r in records for name in r.config.hyperparameters()))
    return {
        "hyperparameters": names,
        "trials": {record.trial_id: _trial(record, names, most) for record in records},
    }


def _trial(record: TrialRecord, names: list[str], most: int) -> dict[str, Any]:
    epochs = thinned(record.epochs, most)
    series = ("val_loss", "val_accuracy", "train_loss", "train_accuracy")
    thin = "" if len(epochs) == len(record.epochs) else f"; {len(epochs)} epochs are drawn"
    place = f", on {record.placement.node}" if record.placement else ""
    lost = f", started anew {record.retries} times" if record.retries else ""
    config = record.config.hyperparameters()
    failed = f": {failure_of(record.error)}" if record.error.strip() else ""
    return {
        "summary": printable(
            f"{record.status} after {len(record.epochs)} epochs in {record.seconds:.1f} s{place}; "
            f"seed {record.seed}{lost}{thin}{failed}"
        ),
        "error": record.error.strip()[-_LONGEST_ERROR:],
        "searched": list(record.params),
        "config": [short(v) if isinstance(v, float) else v for v in map(config.get, names)],
        "epoch": [metrics.epoch for metrics in epochs],
        **{name: [short(getattr(metrics, name)) for metrics in epochs] for name in series},
    }


def per_class(test: TestResult) -> list[dict[str, Any]]:
    """Precision and recall with their intervals, None where there is nothing: of each class, or of
    the worst where there are many.
    """
    rows = []
    number = {name: k for k, name in enumerate(test.classes)}
    for score in worst_classes(test, MOST_CLASSES):
        k = number[score["class"]]
        correct, true = test.confusion[k][k], score["pictures"]
        predicted = sum(row[k] for row in test.confusion)
        rows.append(
            {
                "name": score["class"],
                **score,
                "precision_interval": wilson_interval(correct, predicted) if predicted else None,
                "recall_interval": wilson_interval(correct, true) if true else None,
            }
        )
    return rows
