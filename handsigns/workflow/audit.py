"""Audit a finished search: check from its files alone what must hold, whatever befell it.

ASHA's decisions are computed again from the recorded values, independently of the search's own code
and of Ray's; every trial is trained again; and the tables are compared with both.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handsigns.console.format import counted
from handsigns.console.progress import progress
from handsigns.workflow.data import Sources, open_unchanged
from handsigns.workflow.replay import ReplayResult, replay_record
from handsigns.workflow.user_code import user_code_of_trial

if TYPE_CHECKING:
    from handsigns.config.search import StudyConfig
    from handsigns.results.journal import Journal
    from handsigns.results.store import StoredSearch
    from handsigns.results.trial import TrialRecord


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        trials: in the journal.
        resumed: trained in more than one session, or in more than one process.
        replayed: trials that were trained again.
        problems: what does not hold, in words.
    """

    trials: int
    resumed: int
    replayed: int
    problems: list[str]


def audit(search: StoredSearch, sources: Sources) -> Audit:
    """Check a search that has finished, showing progress.

    Args:
        search: the search.
        sources: its data and user code.

    Raises:
        ResultsError: user code is not trusted.
        DataError: the data have changed.
    """
    records = search.journal.records
    replays = _replay_all(search, sources)
    problems = [
        *_unfinished_trials(search),
        *_missing_epochs(records),
        *_wrong_stops(search.study, search.journal),
        *_wrong_tables(search, replays),
        *_differences(replays),
        *(f"{path} was left behind" for path in search.paths.root.rglob(".*.tmp")),
    ]
    resumed = sum(len(record.sessions) > 1 or record.retries > 0 for record in records)
    return Audit(len(records), resumed, len(replays), problems)


def _replay_all(search: StoredSearch, sources: Sources) -> list[ReplayResult]:
    records = search.journal.records
    trust = sources.trust_user_code
    codes = [user_code_of_trial(search, record, allowed=trust) for record in records]
    data = open_unchanged(search, sources.data)
    total, done = sum(len(record.epochs) for record in records), 0
    replays = []
    with progress(f"training the trials of {search.paths.name} again, in epochs") as report:
        for record, code in zip(records, codes, strict=True):

            def on_epoch(epoch: int, before: int = done) -> None:
                report(before + epoch, total)

            replays.append(replay_record(search.study, data, record, code, on_epoch=on_epoch))
            done += len(record.epochs)
    return replays


def _unfinished_trials(search: StoredSearch) -> Iterator[str]:
    wanted, found = search.study.budget.trials, len(search.journal.records)
    if found != wanted:
        yield f"{counted(found, 'trial')} instead of {wanted}"
    for record in search.journal.records:
        if not record.ended:
            yield f"trial {record.trial_id} is {record.status}"


def _missing_epochs(records: Sequence[TrialRecord]) -> Iterator[str]:
    for record in records:
        numbers = [metrics.epoch for metrics in record.epochs]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"trial {record.trial_id} has the epochs {numbers}"


def _wrong_stops(study: StudyConfig, journal: Journal) -> Iterator[str]:
    """Compute ASHA's stops from its paper: at a rung all but the best 1/reduction factor stop."""
    import numpy as np

    rule, grace = study.scheduler, study.scheduler.grace_period
    factor = rule.reduction_factor
    if rule.name != "asha" or grace is None or factor is None:
        return
    sign = -1.0 if study.objective.minimize else 1.0
    reached: dict[float, dict[str, float]] = {}
    rung = float(grace)
    while rung < study.budget.max_epochs:
        reached[rung] = {}
        rung *= factor
    stops = Counter[str]()
    for report in journal.reports:
        trial_id, metrics, verdict = report.trial_id, report.metrics, report.verdict
        passed = [rung for rung in reached if rung <= metrics.epoch < study.budget.max_epochs]
        if not passed or trial_id in reached[passed[-1]]:
            if verdict is not None:
                yield f"trial {trial_id} was judged after epoch {metrics.epoch}, at no rung"
            continue
        values = reached[passed[-1]]
        value = sign * float(getattr(metrics, study.objective.metric))
        stop = bool(values) and value < np.percentile([*values.values()], 100 * (1 - 1 / factor))
        if verdict is None or (verdict.stop, verdict.earlier) != (stop, len(values)):
            yield f"trial {trial_id}, epoch {metrics.epoch}: {verdict}, where stop={stop} is right"
        values[trial_id] = value
        stops[trial_id] += int(stop)
    for record in journal.records:
        number = stops[record.trial_id]
        if (record.status == "stopped") != (number == 1):
            yield f"trial {record.trial_id} is {record.status} after {counted(number, 'stop')}"


def _wrong_tables(search: StoredSearch, replays: Sequence[ReplayResult]) -> Iterator[str]:
    """Compare the leaderboard with the replays, and the other tables with the journal."""
    from handsigns.results.tables import (
        decision_table,
        epoch_table,
        leaderboard_table,
        trial_table,
    )

    paths, journal = search.paths, search.journal
    again = [_as_replayed(*pair) for pair in zip(journal.records, replays, strict=True)]
    expected = {
        paths.leaderboard: leaderboard_table(again, search.study.objective).csv(),
        paths.trials: trial_table(journal.records).csv(),
        paths.epochs: epoch_table(journal.records).csv(),
        paths.decisions: decision_table(journal.decisions).csv(),
    }
    for path, text in expected.items():
        if path.read_text() != text:
            yield f"{path.name} is another than it should be"


def _as_replayed(record: TrialRecord, replay: ReplayResult) -> TrialRecord:
    """Return the record with the metrics of its replay, timings aside."""
    epochs = [
        dataclasses.replace(replayed, epoch_seconds=recorded.epoch_seconds)
        for recorded, replayed in zip(record.epochs, replay.epochs, strict=False)
    ]
    return dataclasses.replace(record, epochs=tuple(epochs))


def _differences(replays: Sequence[ReplayResult]) -> Iterator[str]:
    for replay in replays:
        for found in replay.differences:
            yield (
                f"trial {replay.trial_id}, epoch {found.epoch}: {found.metric} was "
                f"{found.recorded} and is {found.replayed}"
            )
        if replay.failure:
            yield f"trial {replay.trial_id}: {replay.failure}"
