"""Resume a search that was interrupted, or give one more trials or time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.format import format_duration
from handsigns.errors import DataError, ResultsError
from handsigns.workflow.data import Sources, describe_change, open_recorded
from handsigns.workflow.new_search import given_settings
from handsigns.workflow.searches import reloaded
from handsigns.workflow.sync import ensure_not_running_elsewhere
from handsigns.workflow.trackers import tracking_overrides
from handsigns.workflow.trials import FinishedRun, RunOptions, run_trials
from handsigns.workflow.user_code import try_user_code, user_code_to_resume

if TYPE_CHECKING:
    from handsigns.config.search import StudyConfig
    from handsigns.config.user_code import OwnCode
    from handsigns.data.dataset import DataSet
    from handsigns.results.store import StoredSearch


@dataclass(frozen=True)
class ResumeRequest:
    """What the user asks for in resuming a search.

    Attributes:
        settings: values of `SETTINGS` that replace the search's; None where not given.
        sources: its data and user code.
        track: experiment trackers to add, as of `tracking_overrides`.
        accept_changed_data: resume on a changed data set; unfinished trials restart.
        accept_changed_code: resume with changed code or libraries.
    """

    settings: Mapping[str, object]
    sources: Sources
    track: str | None = None
    accept_changed_data: bool = False
    accept_changed_code: bool = False


def resume(search: StoredSearch, request: ResumeRequest, options: RunOptions) -> FinishedRun:
    """Resume a search with the decisions that an uninterrupted one would have made.

    Raises:
        ConfigError: a setting cannot be used.
        DataError: the data have changed, and that was not accepted.
        ResultsError: nothing is left to be done, the code has changed, or the search is running.
        ResourceError: no trial can run.
    """
    from handsigns.config.load import load_study
    from handsigns.results.store import held
    from handsigns.tracking.registry import refuse_missing

    overrides = tracking_overrides(request.track)
    study = load_study(search.paths.study, overrides, options=given_settings(request.settings))
    refuse_missing(study.tracking.tools)
    done = _nothing_left(study, search)
    if done is not None:
        return _conclude(search, study, *done)
    user_code = user_code_to_resume(search, allowed=request.sources.trust_user_code)
    with held(search.paths):
        ensure_not_running_elsewhere(search.paths)
        data = open_recorded(search, request.sources.data)
        _refuse_changed_data(search, data, accepted=request.accept_changed_data)
        _refuse_changed_code(search, user_code, accepted=request.accept_changed_code)
        try_user_code(study, user_code, data)
        _record(search, study, data, request.sources.data, user_code)
        return run_trials(search, study, data, user_code, options)


def _nothing_left(study: StudyConfig, search: StoredSearch) -> tuple[str, str] | None:
    """Return why a search has no more to do, and how to give it more; None where it has."""
    journal, paths = search.journal, search.paths
    finished = [record for record in journal.records if record.ended]
    if len(finished) >= study.budget.trials:
        more = paths.command("resume", "--trials", str(2 * len(finished)), *paths.trust)
        done = "the trial" if len(finished) == 1 else f"all {len(finished)} trials"
        are = "is" if len(finished) == 1 else "are"
        return f"{done} of {paths.name} {are} done", f"to try more: {more}"
    limit = study.budget.time_budget
    if limit is not None and journal.elapsed >= limit:
        more = paths.command("resume", "--time-budget", format_duration(2 * limit), *paths.trust)
        return (
            f"the time budget of {paths.name}, {format_duration(limit)}, is used up",
            f"to give it more in all: {more}",
        )
    return None


def _all_done(trials: int, name: str) -> str:
    return (
        f"the trial of {name} is done" if trials == 1 else f"all {trials} trials of {name} are done"
    )


def _conclude(search: StoredSearch, study: StudyConfig, reason: str, more: str) -> FinishedRun:
    """Record the end of a search that was killed when all was done.

    Raises:
        ResultsError: its end is recorded.
    """
    if search.journal.ended_because:
        raise ResultsError(f"{reason}; {more}")

    from handsigns.results.store import held
    from handsigns.tuning.recovery import conclude_search
    from handsigns.tuning.session import SearchOutcome

    with held(search.paths):
        conclude_search(study, search.paths, reason)
    search = reloaded(search)
    return FinishedRun(search, SearchOutcome(search.journal.records, reason, by_user=False), more)


def _refuse_changed_data(search: StoredSearch, data: DataSet, *, accepted: bool) -> None:
    wanted = search.data.info.fingerprint
    if data.info.fingerprint != wanted and not accepted:
        raise DataError(
            f"{describe_change(search, data, wanted)}. Put the earlier pictures back or say where "
            f"they are (--data DIR); or go on with the changed ones, on which unfinished trials "
            f"start over and new ones are trained: --accept-changed-data"
        )


def _refuse_changed_code(
    search: StoredSearch, user_code: OwnCode | None, *, accepted: bool
) -> None:
    from handsigns.results.environment import changed_code, describe_environment

    sessions = search.journal.sessions
    if accepted or not sessions:
        return
    changes = changed_code(sessions[-1].environment, describe_environment(user_code))
    if changes:
        raise ResultsError(
            f"what {search.paths.name} was run with has changed: {'; '.join(changes)}. Its trials "
            f"may no longer come out the same. Go back to what it was run with, or go on all the "
            f"same: --accept-changed-code"
        )


def _record(
    search: StoredSearch,
    study: StudyConfig,
    data: DataSet,
    moved: Path | None,
    user_code: OwnCode | None,
) -> None:
    """Write down the settings, data and user code with which the search continues."""
    from handsigns.config.load import dump_study
    from handsigns.config.user_code import keep
    from handsigns.io.atomic import write_text
    from handsigns.results.store import record_data

    keep(search.paths.own_code, user_code)
    record_data(search, data.info, moved)
    write_text(search.paths.study, dump_study(study))
