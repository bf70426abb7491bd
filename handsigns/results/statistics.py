"""What a search came to, in numbers: the best, the way there, what early stopping saved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from handsigns.config.search import StudyConfig
from handsigns.results.journal import Journal
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord, rank_key
from handsigns.stats.intervals import wilson_interval

_QUARTERS = 4


@dataclass(frozen=True)
class Score:
    """A trial's validation figures after its last epoch.

    Attributes:
        accuracy: in [0, 1].
        interval: 95 %, Wilson's; None where the number of validation pictures is not known.
        loss: in nats.
        epochs: trained.
    """

    accuracy: float
    interval: tuple[float, float] | None
    loss: float
    epochs: int


@dataclass(frozen=True)
class Point:
    """A trial's result when it was known, and the best until then.

    Attributes:
        trial_id: whose.
        number: how many results were known then, this one included.
        seconds: of the search, when the trial ended.
        value: the trial's, of the objective.
        best: the best value until then.
        best_accuracy: of the trial that was best then.
    """

    trial_id: str
    number: int
    seconds: float
    value: float
    best: float
    best_accuracy: float


@dataclass(frozen=True)
class Stage:
    """A rung: the trials that came so far, and those that were stopped there."""

    epoch: int
    reached: int
    stopped: int


@dataclass(frozen=True)
class Savings:
    """Epochs trained by all trials, and those that early stopping spared.

    Attributes:
        trained: by all trials.
        saved: what the stopped trials would have trained beyond where they ended.
        full: what the completed and the stopped trials would have trained in all.
    """

    trained: int
    saved: int
    full: int

    @property
    def share(self) -> float:
        """`saved` of `full`."""
        return self.saved / self.full if self.full else 0.0


def validation_pictures(search: StoredSearch) -> int:
    """In the validation split; 0 where that is not recorded."""
    return sum(search.data.info.counts.get("val", ()))


def score(search: StoredSearch, record: TrialRecord) -> Score | None:
    """A trial's figures; None where it has no result."""
    last = record.last
    if last is None or not record.has_result:
        return None
    total = validation_pictures(search)
    interval = wilson_interval(round(last.val_accuracy * total), total) if total else None
    return Score(last.val_accuracy, interval, last.val_loss, len(record.epochs))


def baseline(search: StoredSearch) -> TrialRecord | None:
    """The first trial, where it is the recommended recipe."""
    params = search.study.baseline_params()
    records = search.journal.records
    if params is None or not records or records[0].params != params:
        return None
    return records[0]


def runner_up(search: StoredSearch) -> TrialRecord | None:
    """The second of those with a result."""
    ranked = [record for record in search.ranked if record.has_result]
    return ranked[1] if len(ranked) > 1 else None


def within_noise(winner: Score, other: Score) -> bool:
    """Whether the other's accuracy lies within the winner's interval."""
    return winner.interval is not None and winner.interval[0] <= other.accuracy


def best_so_far(search: StoredSearch, ended: dict[str, float]) -> list[Point]:
    """A point for each trial with a result, in the order in which these came.

    Args:
        ended: seconds of the search at which each trial was last heard of.
    """
    objective = search.study.objective
    scored = [record for record in search.journal.records if record.has_result]
    scored.sort(key=lambda record: (ended.get(record.trial_id, 0.0), record.trial_id))
    points: list[Point] = []
    best: TrialRecord | None = None
    for number, record in enumerate(scored, 1):
        if best is None or rank_key(record, objective) < rank_key(best, objective):
            best = record
        now, then = record.epochs[-1], best.epochs[-1]
        points.append(
            Point(
                record.trial_id,
                number,
                ended.get(record.trial_id, 0.0),
                objective.of(now),
                objective.of(then),
                then.val_accuracy,
            )
        )
    return points


def savings(records: Iterable[TrialRecord], max_epochs: int) -> Savings:
    """What early stopping saved; trials that are unfinished or went wrong do not count."""
    records = list(records)
    ended = [len(r.epochs) for r in records if r.status in ("completed", "stopped")]
    full = len(ended) * max_epochs
    return Savings(sum(len(r.epochs) for r in records), full - sum(ended), full)


def rungs(study: StudyConfig, journal: Journal) -> list[int]:
    """The epochs at which trials were compared; quarters of the budget where there are no rungs."""
    if study.scheduler.name in ("asha", "hyperband"):
        found = {int(decision.verdict.rung) for decision in journal.decisions}
    else:
        top = study.budget.max_epochs
        found = {round(top * k / _QUARTERS) for k in range(1, _QUARTERS)} - {0, top}
    return sorted(found)


def funnel(search: StoredSearch) -> list[Stage]:
    """From the first epoch over each rung to the last: who came so far, who was stopped there."""
    records, top = search.journal.records, search.study.budget.max_epochs
    epochs = sorted({1, *rungs(search.study, search.journal), top})
    stops = [decision.epoch for decision in search.journal.decisions if decision.verdict.stop]
    return [
        Stage(
            epoch,
            sum(len(record.epochs) >= epoch for record in records),
            sum(epoch <= stop < following for stop in stops),
        )
        for epoch, following in zip(epochs, [*epochs[1:], top + 1], strict=True)
    ]
