"""Replay of a trial: train it again and compare every epoch with the record."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handsigns.console.progress import progress
from handsigns.console.sanitize import printable
from handsigns.workflow.data import InputOptions, open_verified_data
from handsigns.workflow.user_code import load_user_code_for_trial

if TYPE_CHECKING:
    from handsigns.config.search import SearchConfig
    from handsigns.config.user_code import UserCode
    from handsigns.data.dataset import DataSet
    from handsigns.metrics import EpochMetrics
    from handsigns.results.store import StoredSearch
    from handsigns.results.trial import Session, TrialRecord


@dataclass(frozen=True)
class Difference:
    """Metric of an epoch whose replayed value differs from the recorded one."""

    epoch: int
    metric: str
    recorded: float
    replayed: float


@dataclass(frozen=True)
class ReplayResult:
    """Result of a replay.

    Attributes:
        trial_id: ID of the trial.
        epochs: metrics of each replayed epoch.
        differences: differences from the record, timings aside.
        failure: why the replay did not end as the record does; empty if it does.
        diverged: whether the record ends with a non-finite loss.
    """

    trial_id: str
    epochs: tuple[EpochMetrics, ...]
    differences: tuple[Difference, ...]
    failure: str
    diverged: bool

    @property
    def identical(self) -> bool:
        """Whether the replay matches the record, epoch by epoch."""
        return not self.differences and not self.failure


def replay(search: StoredSearch, trial: str, inputs: InputOptions) -> ReplayResult:
    """Train a trial again, showing progress, and compare every epoch with the record.

    Args:
        search: the search.
        trial: trial ID, also of a re-evaluation: 0007, or 0007-seed1.
        inputs: its data and user code.

    Raises:
        ResultsError: there is no such trial, or user code is not trusted.
        DataError: the data have changed.
    """
    record, journal = search.find_record(trial)
    sessions = [journal.sessions[number] for number in record.sessions]
    user_code = load_user_code_for_trial(search, record, journal, allowed=inputs.trust_user_code)
    data = open_verified_data(search, inputs.data, sessions[-1].fingerprint if sessions else None)
    _print_changes(sessions)
    print_device_change([record])
    with progress(f"replaying trial {record.trial_id}") as report:
        return replay_record(
            search.config,
            data,
            record,
            user_code,
            on_epoch=lambda epoch: report(epoch, len(record.epochs)),
        )


def replay_record(
    config: SearchConfig,
    data: DataSet,
    record: TrialRecord,
    user_code: UserCode | None,
    *,
    on_epoch: Callable[[int], None],
) -> ReplayResult:
    """Train a recorded configuration again and compare every epoch.

    Args:
        config: settings of the search.
        data: data of the search.
        record: record of the trial.
        user_code: user modules that the trial ran.
        on_epoch: callback that receives the number of each finished epoch.
    """
    from handsigns.winner.replay import ReplayError
    from handsigns.winner.replay import replay as replay_epochs

    epochs: list[EpochMetrics] = []
    differences: list[Difference] = []
    failure = ""
    try:
        # Closed, as an interrupted replay must restore the number of threads, too.
        with contextlib.closing(replay_epochs(config, data, record, user_code)) as replayed_epochs:
            for epoch in replayed_epochs:
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


def print_device_change(records: Iterable[TrialRecord]) -> None:
    """Print the devices of trials that would be replayed on another one."""
    from handsigns.winner.replay import replay_device

    devices = {r.placement.device: replay_device(r) for r in records if r.placement is not None}
    for recorded, replayed in devices.items():
        if recorded != replayed:
            print(
                f"note: trained on {printable(recorded)}, replayed on {replayed}, so the metrics "
                f"may differ"
            )


def _print_changes(sessions: Sequence[Session]) -> None:
    """Print changes of code or machine since the trial that may affect its metrics."""
    from handsigns.results.environment import code_changes, describe_environment, machine_changes

    now = describe_environment()
    for session in sessions:
        then = session.environment
        for change in (*code_changes(then, now), *machine_changes(then, now)):
            print(f"note: since the trial was trained, {printable(change)}")
