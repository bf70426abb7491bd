"""Recovery of a search from its journal, and the start and end of a session."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from handsigns.config.execution import Tracking
from handsigns.config.search import SearchConfig
from handsigns.config.sections import Scheduler
from handsigns.errors import ResourceError
from handsigns.io.atomic import next_free_path
from handsigns.io.storage import storage_error_message
from handsigns.policy.source import TrialSource
from handsigns.policy.stopping import StoppingCriteria
from handsigns.policy.stopping_rule import StoppingRule
from handsigns.results.checkpoints import CheckpointStore, checkpoint_store
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.statistics import winner_changes
from handsigns.results.trial import FAILURES, Session, Status, TrialRecord
from handsigns.tuning.table_writer import TableWriter


def prepare_runs(
    search_config: SearchConfig, paths: SearchPaths, fingerprint: str, run_ids: Iterable[str]
) -> Journal:
    """Prepare the folder of planned runs; those of other data are moved aside.

    No run that starts afresh may find the checkpoints of an earlier one with its ID.

    Args:
        search_config: configuration of the search.
        paths: paths of its re-evaluation, or of a retraining.
        fingerprint: fingerprint of the data.
        run_ids: IDs of the planned runs.

    Returns:
        The journal of the runs so far.

    Raises:
        ResourceError: the storage of the checkpoints is not accessible.
    """
    journal = Journal(paths.journal)
    stale = bool(journal.sessions) and journal.sessions[-1].fingerprint != fingerprint
    started = {record.trial_id for record in journal.records}
    store = checkpoint_store(search_config, paths)
    try:
        for run_id in {*run_ids, *started} if stale else {*run_ids} - started:
            store.remove(run_id)
    except OSError as error:
        where = search_config.storage or str(paths.checkpoints)
        raise ResourceError(storage_error_message(where, error)) from error
    if stale:
        paths.root.rename(next_free_path(paths.root))
    paths.checkpoints.mkdir(parents=True, exist_ok=True)
    return Journal(paths.journal) if stale else journal


def planned_runs_config(
    search_config: SearchConfig, trials: int, time_budget: float | None = None
) -> SearchConfig:
    """Return the search's configuration for planned runs: without early stopping or trackers."""
    budget = search_config.budget.model_copy(
        update={"trials": trials, "time_budget": time_budget, "target": None, "patience": None}
    )
    return search_config.model_copy(
        update={"budget": budget, "scheduler": Scheduler(name="none"), "tracking": Tracking()}
    )


def start_session(journal: Journal, session: Session, checkpoints: CheckpointStore) -> None:
    """Record the start of a session; on changed data, restart unfinished trials from scratch.

    The session is recorded last: should this fail in between, the next one still finds other data
    and resets again.

    Raises:
        OSError: results cannot be written, or checkpoints cannot be removed.
    """
    if journal.sessions and journal.sessions[-1].fingerprint != session.fingerprint:
        for record in journal.records:
            if not record.is_terminal:
                checkpoints.remove(record.trial_id)
                journal.reset_trial(record.trial_id)
    journal.start_session(session)


def trials_to_resume(
    journal: Journal, source: TrialSource, rule: StoppingRule, max_epochs: int
) -> list[str]:
    """Return the trials to resume, and record the end of those that had reached it.

    Args:
        journal: journal of the search.
        source: source that is notified of trials that end here.
        rule: early-stopping rule with the rungs of earlier sessions.
        max_epochs: the full epoch budget.

    Raises:
        OSError: results cannot be written.
    """
    trials = []
    reached = _reached_ends(journal, max_epochs)
    for record in journal.records:
        if record.status == "paused":
            continue
        rule.discard_paused(record.trial_id)
        if record.status in FAILURES:
            rule.on_failure(record.trial_id)
        if record.is_terminal:
            continue
        if record.trial_id in reached:
            source.on_trial_complete(journal.end_trial(record.trial_id, reached[record.trial_id]))
        elif source.should_resume(record.trial_id):
            trials.append(record.trial_id)
    return trials


def _reached_ends(journal: Journal, max_epochs: int) -> dict[str, Status]:
    """Return how each trial ends that has no epoch left to train, by its ID."""
    ends: dict[str, Status] = {
        decision.trial_id: "stopped"
        for decision in journal.decisions
        if decision.verdict.action == "stop"
    }
    for record in journal.records:
        if len(record.epochs) >= max_epochs:
            ends[record.trial_id] = "completed"
    return ends


def restore_stopping_criteria(search_config: SearchConfig, journal: Journal) -> StoppingCriteria:
    """Restore the stopping criteria from the journal, and start the session's clock.

    An epoch that reached the target counts unless the search has ended since: then it was extended.
    """
    stopping = StoppingCriteria(
        search_config,
        journal.outcomes,
        journal.elapsed,
        journal.conclusion,
        winner_changes(journal, search_config.objective),
    )
    for report in journal.reports:
        if journal.conclusion is None or report.elapsed > journal.conclusion.elapsed:
            stopping.check_target(report.trial_id, report.metrics)
    journal.clock = stopping.elapsed
    return stopping


def close_session(
    journal: Journal,
    tables: TableWriter | None,
    reason: str,
    max_epochs: int,
    *,
    interrupted: bool = False,
) -> list[TrialRecord]:
    """Record the end of a session; where the search has ended, paused trials are stopped.

    Ray stops everything at once, also a trial that has just reached its end: it ends as usual.
    The tables, if any, are written first: should this process be killed in between, a search that
    its journal records as ended still has them.

    Returns:
        The trials that ended here for good.

    Raises:
        OSError: results cannot be written.
    """
    ended = []
    reached = _reached_ends(journal, max_epochs)
    for record in journal.records:
        if record.status == "paused" and not interrupted:
            ended.append(journal.end_trial(record.trial_id, "stopped"))
        elif record.ended_at is None:
            status = reached.get(record.trial_id, "interrupted")
            closed = journal.end_trial(record.trial_id, status)
            if closed.is_terminal:
                ended.append(closed)
    if tables is not None:
        tables.finish()
    journal.end_session(reason, interrupted=interrupted)
    return ended


def mark_finished(search_config: SearchConfig, paths: SearchPaths, reason: str) -> None:
    """Record the end of a search that was killed when no trial was left to run.

    Raises:
        OSError: results cannot be written.
    """
    journal = Journal(paths.journal, writable=True)
    with contextlib.closing(journal):
        tables = TableWriter(paths, journal, search_config.objective)
        close_session(journal, tables, reason, search_config.budget.max_epochs)
