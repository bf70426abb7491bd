"""Audit of a finished search from its files alone.

The decisions of early stopping are recomputed from the recorded values, independently of the
search's own code and of Ray's; every trial is replayed that was trained on the present images; and
the tables are compared with both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handsigns.console.format import pluralize
from handsigns.console.progress import progress
from handsigns.workflow.data import InputOptions, open_verified_data
from handsigns.workflow.replay import ReplayResult, print_device_change, replay_record
from handsigns.workflow.user_code import load_user_code_for_trial

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch
    from handsigns.results.trial import TrialRecord


@dataclass(frozen=True)
class AuditReport:
    """Result of an audit.

    Attributes:
        trials: number of trials in the journal.
        resumed: number of trials trained in more than one session or process.
        replayed: number of trials that were replayed: those trained on the present images.
        problems: a description of each violation.
    """

    trials: int
    resumed: int
    replayed: int
    problems: list[str]


def audit(search: StoredSearch, inputs: InputOptions) -> AuditReport:
    """Check a finished search, showing progress.

    Args:
        search: the search.
        inputs: its data and user code.

    Raises:
        ResultsError: user code is not trusted.
        DataError: the data have changed.
    """
    from handsigns.workflow.audit_decisions import check_decisions

    records = search.journal.records
    replays = _replay_all(search, inputs)
    problems = [
        *_check_all_finished(search),
        *_check_epoch_numbers(records),
        *check_decisions(search),
        *_check_tables(search, replays),
        *_check_replays(replays),
        *(f"leftover temporary file: {path}" for path in search.paths.root.rglob(".*.tmp")),
    ]
    resumed = sum(len(record.sessions) > 1 or record.retries > 0 for record in records)
    return AuditReport(len(records), resumed, len(replays), problems)


def _replay_all(search: StoredSearch, inputs: InputOptions) -> list[ReplayResult]:
    records = [r for r in search.journal.records if _trained_on_present_images(search, r)]
    trust = inputs.trust_user_code
    codes = [load_user_code_for_trial(search, record, allowed=trust) for record in records]
    data = open_verified_data(search, inputs.data)
    print_device_change(records)
    total, done = sum(len(record.epochs) for record in records), 0
    replays = []
    with progress(f"replaying the trials of {search.paths.name} (epochs)") as report:
        for record, code in zip(records, codes, strict=True):

            def on_epoch(epoch: int, before: int = done) -> None:
                report(before + epoch, total)

            replays.append(replay_record(search.config, data, record, code, on_epoch=on_epoch))
            done += len(record.epochs)
    return replays


def _trained_on_present_images(search: StoredSearch, record: TrialRecord) -> bool:
    """Return whether the images have not changed since, as `resume` may have accepted."""
    sessions = search.journal.sessions
    # A trial that diverged in its first epoch has none; it may be from any session.
    trained_in = [sessions[number] for number in record.sessions] or sessions
    present = search.data.info.fingerprint
    return all(session.fingerprint == present for session in trained_in)


def _check_all_finished(search: StoredSearch) -> Iterator[str]:
    from handsigns.policy.stopping import ALL_DONE

    journal = search.journal
    if not journal.stop_reason or journal.interrupted:
        yield "the search has not ended"
    if journal.stop_reason != ALL_DONE:
        return  # ended by its time budget, target or patience, amid its trials
    expected, found = search.config.budget.trials, len(journal.records)
    if found != expected:
        yield f"{pluralize(found, 'trial')} instead of {expected}"
    for record in journal.records:
        if not record.is_terminal:
            yield f"trial {record.trial_id} has not finished: {record.status}"


def _check_epoch_numbers(records: Sequence[TrialRecord]) -> Iterator[str]:
    for record in records:
        numbers = [metrics.epoch for metrics in record.epochs]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"trial {record.trial_id}: epochs are not consecutive: {numbers}"


def _check_tables(search: StoredSearch, replays: Sequence[ReplayResult]) -> Iterator[str]:
    """Compare the leaderboard with the replays, and the other tables with the journal."""
    from handsigns.results.tables import (
        decision_table,
        epoch_table,
        leaderboard_table,
        trial_table,
    )

    paths, journal = search.paths, search.journal
    replay_of = {replay.trial_id: replay for replay in replays}
    replayed = [_with_replayed_metrics(r, replay_of.get(r.trial_id)) for r in journal.records]
    expected = {
        paths.leaderboard: leaderboard_table(replayed, search.config.objective).csv(),
        paths.trials: trial_table(journal.records).csv(),
        paths.epochs: epoch_table(journal.records).csv(),
        paths.decisions: decision_table(journal.decisions).csv(),
    }
    for path, text in expected.items():
        if not path.exists():
            yield f"{path.name} is missing"
        elif path.read_bytes() != text.encode():
            yield f"{path.name} differs from the table recomputed from the journal"


def _with_replayed_metrics(record: TrialRecord, replay: ReplayResult | None) -> TrialRecord:
    """Return the record with the metrics of its replay, if there is one, but its own timings."""
    if replay is None:
        return record
    epochs = [
        dataclasses.replace(replayed, epoch_seconds=recorded.epoch_seconds)
        for recorded, replayed in zip(record.epochs, replay.epochs, strict=False)
    ]
    return dataclasses.replace(record, epochs=tuple(epochs))


def _check_replays(replays: Sequence[ReplayResult]) -> Iterator[str]:
    for replay in replays:
        for found in replay.differences:
            yield (
                f"trial {replay.trial_id}, epoch {found.epoch}: {found.metric} was recorded as "
                f"{found.recorded} and replayed as {found.replayed}"
            )
        if replay.failure:
            yield f"trial {replay.trial_id}: {replay.failure}"
