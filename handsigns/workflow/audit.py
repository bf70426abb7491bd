"""Audit of a finished search from its files alone.

ASHA's decisions are recomputed from the recorded values, independently of the search's own code and
of Ray's; every trial is replayed; and the tables are compared with both.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handsigns.console.format import pluralize
from handsigns.console.progress import progress
from handsigns.workflow.data import InputOptions, open_verified_data
from handsigns.workflow.replay import ReplayResult, print_device_change, replay_record
from handsigns.workflow.user_code import load_user_code_for_trial

if TYPE_CHECKING:
    from handsigns.config.search import SearchConfig
    from handsigns.results.journal import Journal
    from handsigns.results.store import StoredSearch
    from handsigns.results.trial import TrialRecord


@dataclass(frozen=True)
class AuditReport:
    """Result of an audit.

    Attributes:
        trials: number of trials in the journal.
        resumed: number of trials trained in more than one session or process.
        replayed: number of trials that were replayed.
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
    records = search.journal.records
    replays = _replay_all(search, inputs)
    problems = [
        *_check_all_finished(search),
        *_check_epoch_numbers(records),
        *_check_asha_stops(search.config, search.journal),
        *_check_tables(search, replays),
        *_check_replays(replays),
        *(f"leftover temporary file: {path}" for path in search.paths.root.rglob(".*.tmp")),
    ]
    resumed = sum(len(record.sessions) > 1 or record.retries > 0 for record in records)
    return AuditReport(len(records), resumed, len(replays), problems)


def _replay_all(search: StoredSearch, inputs: InputOptions) -> list[ReplayResult]:
    records = search.journal.records
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


def _check_all_finished(search: StoredSearch) -> Iterator[str]:
    expected, found = search.config.budget.trials, len(search.journal.records)
    if found != expected:
        yield f"{pluralize(found, 'trial')} instead of {expected}"
    for record in search.journal.records:
        if not record.is_terminal:
            yield f"trial {record.trial_id} has not finished: {record.status}"


def _check_epoch_numbers(records: Sequence[TrialRecord]) -> Iterator[str]:
    for record in records:
        numbers = [metrics.epoch for metrics in record.epochs]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"trial {record.trial_id}: epochs are not consecutive: {numbers}"


def _check_asha_stops(config: SearchConfig, journal: Journal) -> Iterator[str]:
    """Recompute ASHA's stops as in its paper: a rung keeps the best 1/reduction factor."""
    import numpy as np

    rule, grace = config.scheduler, config.scheduler.grace_period
    factor = rule.reduction_factor
    if rule.name != "asha" or grace is None or factor is None:
        return
    sign = -1.0 if config.objective.minimize else 1.0
    reached: dict[float, dict[str, float]] = {}
    rung = float(grace)
    while rung < config.budget.max_epochs:
        reached[rung] = {}
        rung *= factor
    stops = Counter[str]()
    for report in journal.reports:
        trial_id, metrics, verdict = report.trial_id, report.metrics, report.verdict
        passed = [rung for rung in reached if rung <= metrics.epoch < config.budget.max_epochs]
        if not passed or trial_id in reached[passed[-1]]:
            if verdict is not None:
                yield f"trial {trial_id}: decision after epoch {metrics.epoch}, which is not a rung"
            continue
        values = reached[passed[-1]]
        value = sign * float(getattr(metrics, config.objective.metric))
        stop = bool(values) and value < np.percentile([*values.values()], 100 * (1 - 1 / factor))
        if verdict is None or (verdict.stop, verdict.num_compared) != (stop, len(values)):
            yield f"trial {trial_id}, epoch {metrics.epoch}: {verdict}, expected stop={stop}"
        values[trial_id] = value
        stops[trial_id] += int(stop)
    for record in journal.records:
        number = stops[record.trial_id]
        if (record.status == "stopped") != (number == 1):
            yield (
                f"trial {record.trial_id} is {record.status}, with "
                f"{pluralize(number, 'decision')} to stop it"
            )


def _check_tables(search: StoredSearch, replays: Sequence[ReplayResult]) -> Iterator[str]:
    """Compare the leaderboard with the replays, and the other tables with the journal."""
    from handsigns.results.tables import (
        decision_table,
        epoch_table,
        leaderboard_table,
        trial_table,
    )

    paths, journal = search.paths, search.journal
    replayed = [_with_replayed_metrics(*p) for p in zip(journal.records, replays, strict=True)]
    expected = {
        paths.leaderboard: leaderboard_table(replayed, search.config.objective).csv(),
        paths.trials: trial_table(journal.records).csv(),
        paths.epochs: epoch_table(journal.records).csv(),
        paths.decisions: decision_table(journal.decisions).csv(),
    }
    for path, text in expected.items():
        if path.read_text() != text:
            yield f"{path.name} differs from the table recomputed from the journal"


def _with_replayed_metrics(record: TrialRecord, replay: ReplayResult) -> TrialRecord:
    """Return the record with the metrics of its replay but its own timings."""
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
