"""Replay a trial: train it again and compare every epoch with the record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handsigns.console.progress import progress
from handsigns.console.sanitize import printable
from handsigns.workflow.data import Sources, open_unchanged
from handsigns.workflow.user_code import user_code_of_trial

if TYPE_CHECKING:
    from handsigns.config.search import StudyConfig
    from handsigns.config.user_code import OwnCode
    from handsigns.data.dataset import DataSet
    from handsigns.metrics import EpochMetrics
    from handsigns.results.store import StoredSearch
    from handsigns.results.trial import Session, TrialRecord


@dataclass(frozen=True)
class Difference:
    """A metric of an epoch that is not what was recorded."""

    epoch: int
    metric: str
    recorded: float
    replayed: float


@dataclass(frozen=True)
class ReplayResult:
    """What came out when a trial was trained again.

    Attributes:
        trial_id: of the trial.
        epochs: metrics of each epoch that was trained again.
        differences: from the record, timings aside.
        failure: why the replay did not end as the record does; empty where it does.
        diverged: whether the record ends with a loss that is not finite.
    """

    trial_id: str
    epochs: tuple[EpochMetrics, ...]
    differences: tuple[Difference, ...]
    failure: str
    diverged: bool

    @property
    def identical(self) -> bool:
        """Whether it is the same as the record, epoch by epoch."""
        return not self.differences and not self.failure


def replay(search: StoredSearch, trial: str, sources: Sources) -> ReplayResult:
    """Train a trial of a search again, showing progress, and compare every epoch.

    Args:
        search: the search.
        trial: a trial_id, also of a re-evaluation: 0007, or 0007-seed1.
        sources: its data and user code.

    Raises:
        ResultsError: there is no such trial, or user code is not trusted.
        DataError: the data have changed.
    """
    record, journal = search.recorded(trial)
    sessions = [journal.sessions[number] for number in record.sessions]
    user_code = user_code_of_trial(search, record, journal, allowed=sources.trust_user_code)
    data = open_unchanged(search, sources.data, sessions[-1].fingerprint if sessions else None)
    _print_changes(sessions)
    with progress(f"replaying trial {record.trial_id}") as report:
        return replay_record(
            search.study,
            data,
            record,
            user_code,
            on_epoch=lambda epoch: report(epoch, len(record.epochs)),
        )


def replay_record(
    study: StudyConfig,
    data: DataSet,
    record: TrialRecord,
    user_code: OwnCode | None,
    *,
    on_epoch: Callable[[int], None],
) -> ReplayResult:
    """Train a record's configuration again and compare every epoch.

    Args:
        study, data: of the search.
        record: of the trial.
        user_code: the modules that it ran.
        on_epoch: called with the number of each epoch that is done.
    """
    from handsigns.winner.replay import ReplayError
    from handsigns.winner.replay import replay as train_again

    epochs: list[EpochMetrics] = []
    differences: list[Difference] = []
    failure = ""
    try:
        for epoch in train_again(study, data, record, user_code):
            number = epoch.metrics.epoch
            epochs.append(epoch.metrics)
            differences += [
                Difference(number, metric, recorded, replayed)
                for metric, (recorded, replayed) in epoch.differences.items()
            ]
            on_epoch(number)
    except ReplayError as error:
        failure = str(error)
    diverged = record.status == "diverged"
    return ReplayResult(record.trial_id, tuple(epochs), tuple(differences), failure, diverged)


def _print_changes(sessions: Sequence[Session]) -> None:
    """Print what differs between a trial's sessions and now, where that may change numbers."""
    from handsigns.results.environment import changed_code, changed_machine, describe_environment

    now = describe_environment()
    for session in sessions:
        then = session.environment
        for change in (*changed_code(then, now), *changed_machine(then, now)):
            print(f"note: since the trial was trained, {printable(change)}")
