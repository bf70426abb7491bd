"""Statistics of a search: best score, optimisation history, rungs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from handsigns.config.search import SearchConfig
from handsigns.config.sections import Objective
from handsigns.data.imbalance import rare_classes
from handsigns.metrics import Metric
from handsigns.results.events import TrialEnded
from handsigns.results.journal import Journal
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord, rank_key
from handsigns.stats.intervals import wilson_interval

_NUM_STAGES = 4


@dataclass(frozen=True)
class ValidationScore:
    """Validation metrics of a trial after its last epoch.

    Attributes:
        score: score in [0, 1]; see `Objective.score`.
        interval: 95 % Wilson interval; None for another score than accuracy, or if the number of
            validation images is unknown; see `num_val_images`.
        loss: loss in nats.
        epochs: number of epochs trained.
    """

    score: float
    interval: tuple[float, float] | None
    loss: float
    epochs: int


@dataclass(frozen=True)
class OptimizationHistoryPoint:
    """Result of a trial, and the best result so far.

    Attributes:
        trial_id: ID of the trial.
        number: number of results so far, this one included.
        seconds: elapsed seconds of the search at the end of the trial's training so far.
        value: objective value after the trial's last epoch.
        best: best objective value so far.
    """

    trial_id: str
    number: int
    seconds: float
    value: float
    best: float


@dataclass(frozen=True)
class RungStats:
    """Number of trials that reached a rung, and number paused or stopped there."""

    epoch: int
    reached: int
    stopped: int


def num_val_images(search: StoredSearch, record: TrialRecord | None = None) -> int:
    """Return the size of the validation split; 0 if it is not recorded.

    Args:
        search: the search.
        record: trial that was validated; 0 is returned if the images have changed since.
    """
    sessions = [search.journal.sessions[number] for number in record.sessions] if record else []
    if any(session.fingerprint != search.data.info.fingerprint for session in sessions):
        return 0
    return sum(search.data.info.counts.get("val", ()))


def shown_metrics(search: StoredSearch) -> tuple[Metric, ...]:
    """Return the validation metrics that tables show: all where a class is rare."""
    if rare_classes(search.data.info.counts.get("train", ())):
        return ("val_accuracy", "val_balanced_accuracy", "val_macro_f1", "val_loss")
    names: tuple[Metric, ...] = (search.config.objective.score, "val_accuracy", "val_loss")
    return tuple(dict.fromkeys(names))


def validation_score(
    search: StoredSearch, record: TrialRecord, objective: Objective | None = None
) -> ValidationScore | None:
    """Return a trial's validation score; None if it has no result.

    Args:
        search: the search of the trial.
        record: the trial.
        objective: objective that determines the score; None: that of the search.
    """
    objective = objective or search.config.objective
    last = record.last_epoch
    if last is None or not record.has_result:
        return None
    score, total, interval = objective.score_of(last), num_val_images(search, record), None
    if total and objective.score == "val_accuracy":
        interval = wilson_interval(round(score * total), total)
    return ValidationScore(score, interval, last.val_loss, len(record.epochs))


def baseline(search: StoredSearch) -> TrialRecord | None:
    """Return the first trial if it is the recommended recipe."""
    params = search.config.baseline_params()
    records = search.journal.records
    if params is None or not records or records[0].params != params:
        return None
    return records[0]


def runner_up(search: StoredSearch) -> TrialRecord | None:
    """Return the second-best trial with a result."""
    ranked = [record for record in search.ranked if record.has_result]
    return ranked[1] if len(ranked) > 1 else None


def within_noise(winner: ValidationScore, other: ValidationScore) -> bool:
    """Return whether the other score lies within the winner's confidence interval, if known."""
    return winner.interval is not None and winner.interval[0] <= other.score <= winner.interval[1]


def optimization_history(
    search: StoredSearch, last_trained: dict[str, float]
) -> list[OptimizationHistoryPoint]:
    """Return a point for each trial with a result, in chronological order.

    Args:
        search: search with its journal.
        last_trained: see `Timeline`.
    """
    objective = search.config.objective
    scored = [record for record in search.journal.records if record.has_result]
    scored.sort(key=lambda record: (last_trained.get(record.trial_id, 0.0), record.trial_id))
    history: list[OptimizationHistoryPoint] = []
    best: TrialRecord | None = None
    for number, record in enumerate(scored, 1):
        if best is None or rank_key(record, objective) < rank_key(best, objective):
            best = record
        history.append(
            OptimizationHistoryPoint(
                record.trial_id,
                number,
                last_trained.get(record.trial_id, 0.0),
                objective.value_of(record.epochs[-1]),
                objective.value_of(best.epochs[-1]),
            )
        )
    return history


class WinnerChanges:
    """Changes of the best completed trial.

    Args:
        objective: objective that ranks the trials.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._best: TrialRecord | None = None
        self.seconds: list[float] = []
        """Elapsed seconds at which a completed trial became the best so far."""
        self.num_completed = 0

    def add(self, record: TrialRecord, elapsed: float) -> None:
        """Take a trial into account that has ended after so many seconds."""
        if record.status != "completed":
            return
        self.num_completed += 1
        key, best = rank_key(record, self._objective), self._best
        if best is None or key < rank_key(best, self._objective):
            self._best = record
            self.seconds.append(elapsed)


def winner_changes(journal: Journal, objective: Objective) -> WinnerChanges:
    """Return the changes of the best completed trial of a search."""
    changes = WinnerChanges(objective)
    for event in journal.history:
        if isinstance(event, TrialEnded):
            changes.add(journal[event.trial_id], event.elapsed)
    return changes


def rungs(search_config: SearchConfig, journal: Journal) -> list[int]:
    """Return the epochs of the rungs; quarters of the budget if there are no rungs."""
    if search_config.scheduler.has_rungs:
        # A trial is compared at the end of the first epoch that reaches a fractional rung.
        found = {math.ceil(decision.verdict.rung) for decision in journal.decisions}
    else:
        top = search_config.budget.max_epochs
        found = {round(top * k / _NUM_STAGES) for k in range(1, _NUM_STAGES)} - {0, top}
    return sorted(found)


def rung_stats(search: StoredSearch) -> list[RungStats]:
    """Return how many trials reached and stopped at epoch 1, each rung and the last epoch."""
    records, top = search.journal.records, search.config.budget.max_epochs
    epochs = sorted({1, *rungs(search.config, search.journal), top})
    stops = [len(record.epochs) for record in records if record.status in ("stopped", "paused")]
    return [
        RungStats(
            epoch,
            sum(len(record.epochs) >= epoch for record in records),
            sum(epoch <= stop < following for stop in stops),
        )
        for epoch, following in zip(epochs, [*epochs[1:], top + 1], strict=True)
    ]
