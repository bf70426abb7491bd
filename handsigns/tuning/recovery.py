"""What earlier sessions of a search left: trials to resume or to end, an end to record."""

from __future__ import annotations

import contextlib

from handsigns.config.search import StudyConfig
from handsigns.policy.source import TrialSource
from handsigns.policy.stopping import StoppingCriteria
from handsigns.results.checkpoints import Checkpoints
from handsigns.results.events import TrialEnded
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.trial import Session
from handsigns.tuning.table_writer import TableWriter


def open_session(journal: Journal, session: Session, checkpoints: Checkpoints) -> None:
    """Record on what and with what the search is run; on other data unfinished trials start over.

    Raises:
        OSError: results cannot be written.
    """
    changed = journal.sessions and journal.sessions[-1].fingerprint != session.fingerprint
    journal.open_session(session)
    for record in journal.records:
        if changed and not record.ended:
            journal.start_over(record.trial_id)
            checkpoints.remove(record.trial_id)


def unfinished_trials(
    journal: Journal, source: TrialSource, stopped: set[str], max_epochs: int
) -> list[str]:
    """Return the trials to resume; one whose end was decided, but not recorded, is ended.

    Args:
        stopped: trials that the scheduler stopped.

    Raises:
        OSError: results cannot be written.
    """
    trials = []
    for record in journal.records:
        if record.ended:
            continue
        if len(record.epochs) >= max_epochs:
            source.finish(journal.end(record.trial_id, "completed"))
        elif record.trial_id in stopped:
            source.finish(journal.end(record.trial_id, "stopped"))
        elif source.owns(record.trial_id):
            trials.append(record.trial_id)
    return trials


def recalled_criteria(study: StudyConfig, journal: Journal) -> StoppingCriteria:
    """Return the stopping criteria as after what the journal holds; the session's time starts."""
    ended = [journal[e.trial_id] for e in journal.history if isinstance(e, TrialEnded)]
    stopping = StoppingCriteria(study, ended, journal.elapsed, journal.concluded)
    journal.clock = stopping.elapsed
    return stopping


def close_session(
    journal: Journal, tables: TableWriter, reason: str, *, by_user: bool = False
) -> None:
    """Record the end of a session.

    A search that the journal says has ended has its tables, so they come first: we may be killed.

    Raises:
        OSError: results cannot be written.
    """
    for record in journal.records:
        if record.ended_at is None:
            journal.end(record.trial_id, "interrupted")
    tables.finish()
    journal.pause(reason, by_user=by_user)


def conclude_search(study: StudyConfig, paths: SearchPaths, reason: str) -> None:
    """Record the end of a search that was killed when nothing was left to be run.

    Raises:
        OSError: results cannot be written.
    """
    journal = Journal(paths.journal, writable=True)
    with contextlib.closing(journal):
        close_session(journal, TableWriter(paths, journal, study.objective), reason)
