"""What measuring the best configurations again came to: means, intervals, who is better."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handsigns.config.search import Objective
from handsigns.results.reevaluation import Finalist
from handsigns.results.store import StoredSearch
from handsigns.stats.intervals import mean_interval

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("place", "trial", "runs", "val_loss", "95 %", "val_accuracy", "95 % ", "in the search"),
)

_SPANS = {
    metric: (metric, f"{metric}_low", f"{metric}_high") for metric in ("val_loss", "val_accuracy")
}


@dataclass(frozen=True)
class Mean:
    """Of a metric over runs; the interval is None of a single run, or where all came out alike."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Measured:
    """A configuration that was measured again.

    Attributes:
        trial_id: of the search's trial.
        runs: how many were compared.
        loss, accuracy: None where a run diverged or failed.
        loss_in_search, accuracy_in_search: optimistic, as it was chosen by them.
    """

    trial_id: str
    runs: int
    loss: Mean | None
    accuracy: Mean | None
    loss_in_search: float
    accuracy_in_search: float


def measured(search: StoredSearch) -> list[Measured]:
    """The configurations that were measured again, best first."""
    return [_measured(finalist) for finalist in search.finalists]


def _measured(finalist: Finalist) -> Measured:
    then = finalist.record.epochs[-1]
    steady = finalist.steady
    return Measured(
        trial_id=finalist.record.trial_id,
        runs=len(finalist.runs),
        loss=_mean(finalist, finalist.values("val_loss"), math.inf) if steady else None,
        accuracy=_mean(finalist, finalist.values("val_accuracy"), 1.0) if steady else None,
        loss_in_search=then.val_loss,
        accuracy_in_search=then.val_accuracy,
    )


def _mean(finalist: Finalist, values: Sequence[float], most: float) -> Mean:
    mean = statistics.fmean(values)
    interval = mean_interval(values, _overlap(finalist))
    if interval is None:
        return Mean(mean, None)
    # Student's t knows no bounds; a loss has one, an accuracy two.
    return Mean(mean, (max(0.0, interval[0]), min(most, interval[1])))


def _overlap(finalist: Finalist) -> float:
    """Held-out to training pictures: by it runs on folds, which share pictures, are less
    independent than they seem.
    """
    folds = finalist.compared[0].folds
    return 1 / (folds - 1) if folds else 0.0


def finals_frame(search: StoredSearch) -> pd.DataFrame:
    """A row for each, best first; NaN where there is nothing.

    Columns: trial_id, runs, and val_loss, val_loss_low, val_loss_high, the same of val_accuracy.
    """
    import pandas as pd

    columns = ("trial_id", "runs", *_SPANS["val_loss"], *_SPANS["val_accuracy"])
    found = []
    for one in measured(search):
        row: dict[str, float | str] = {"trial_id": one.trial_id, "runs": one.runs}
        for metric, mean in (("val_loss", one.loss), ("val_accuracy", one.accuracy)):
            low, high = (mean and mean.interval) or (math.nan, math.nan)
            values = (mean.value if mean else math.nan, low, high)
            row |= dict(zip(_SPANS[metric], values, strict=True))
        found.append(row)
    return pd.DataFrame(found, columns=list(columns))


def verdict(search: StoredSearch) -> str:
    """Whether the first is distinguishable from the second; empty with nothing to compare."""
    best = [finalist for finalist in search.finalists if finalist.steady][:2]
    if not best:
        return ""
    first = _measured(best[0])
    assert first.loss is not None  # it is steady
    assert first.accuracy is not None
    text = (
        f"Trained again {_how(best[0])}, trial {first.trial_id} has a mean validation accuracy of "
        f"{first.accuracy.value:.2%} and loss of {first.loss.value:.4f}"
    )
    if len(best) < 2:
        return f"{text}."
    return f"{text}. {_difference(best[0], best[1], search.study.objective)}"


def _how(finalist: Finalist) -> str:
    runs = finalist.compared
    seeds = len({run.seed for run in runs})
    times = f"with {seeds} fresh seeds" if seeds > 1 else "with a fresh seed"
    if not runs[0].folds:
        return times
    used = len({run.fold for run in runs})
    of = f" of {runs[0].folds}" if used < runs[0].folds else ""
    return f"{times} on {used}{of} folds"


def _difference(first: Finalist, second: Finalist, objective: Objective) -> str:
    """Run by run, as both had the same seeds and pictures."""
    pairs = zip(first.values(objective.metric), second.values(objective.metric), strict=True)
    differences = [a - b for a, b in pairs]
    name = f"trial {second.record.trial_id}"
    if len(differences) < 2:
        return f"With one run each it cannot be told from the second, {name}."
    figures = f"{objective.metric} differs by {statistics.fmean(differences):+.4f}"
    interval = mean_interval(differences, _overlap(first))
    if interval is None:
        return f"It cannot be told from the second, {name}: {figures} in every run."
    low, high = interval
    figures = f"{figures}, 95 % interval {low:+.4f} to {high:+.4f}"
    if low <= 0 <= high:
        return f"It cannot be told from the second, {name}: {figures}."
    return f"It is better than the second, {name}: {figures}."


def rows(search: StoredSearch) -> list[list[str]]:
    """A row of `COLUMNS` for each."""
    return [_row(place, one) for place, one in enumerate(measured(search), 1)]


def _row(place: int, one: Measured) -> list[str]:
    then = f"{one.loss_in_search:.4f}, {one.accuracy_in_search:.2%}"
    if one.loss is None or one.accuracy is None:
        return [str(place), one.trial_id, str(one.runs), "a run has no result", "", "", "", then]
    return [
        *(str(place), one.trial_id, str(one.runs)),
        *(f"{one.loss.value:.4f}", _span(one.loss, "{:.4f}")),
        *(f"{one.accuracy.value:.2%}", _span(one.accuracy, "{:.1%}")),
        then,
    ]


def _span(mean: Mean, form: str) -> str:
    if mean.interval is None:
        return "–"
    return "–".join(form.format(end) for end in mean.interval)


def left_out(search: StoredSearch, form: str | None = None) -> str:
    """Return a warning where the best of the leaderboard was not re-evaluated, else "".

    Args:
        form: how the program is named; None: as it was invoked.
    """
    again = {finalist.record.trial_id for finalist in search.finalists}
    first = search.best
    if not again or first is None or first.trial_id in again:
        return ""
    return (
        f"Trial {first.trial_id}, the first of the leaderboard, was not measured again with the "
        f"others. To do so: {search.paths.command('reevaluate', form=form)}"
    )
