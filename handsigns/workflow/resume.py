"""Resumption of an interrupted search, or extension by more trials or time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.format import format_duration
from handsigns.errors import DataError, ResultsError
from handsigns.workflow.data import InputOptions, describe_change, open_search_data
from handsigns.workflow.limits import limit_space
from handsigns.workflow.new_search import explicit_settings
from handsigns.workflow.searches import reload
from handsigns.workflow.sync import exclusive_access
from handsigns.workflow.trackers import tracking_overrides
from handsigns.workflow.trials import FinishedRun, RunOptions, run_trials
from handsigns.workflow.user_code import load_user_code_for_resume, smoke_test_networks

if TYPE_CHECKING:
    from handsigns.config.search import SearchConfig
    from handsigns.config.user_code import UserCode
    from handsigns.data.dataset import DataSet
    from handsigns.results.store import StoredSearch


@dataclass(frozen=True)
class ResumeRequest:
    """Request to resume a search.

    Attributes:
        settings: values of `SETTING_KEYS` that replace the search's; None if not given.
        inputs: its data and user code.
        track: experiment trackers to add, see `tracking_overrides`.
        accept_changed_data: resume on a changed data set; unfinished trials restart.
        accept_changed_code: resume with changed code or libraries.
    """

    settings: Mapping[str, object]
    inputs: InputOptions
    track: str | None = None
    accept_changed_data: bool = False
    accept_changed_code: bool = False


def resume(search: StoredSearch, request: ResumeRequest, options: RunOptions) -> FinishedRun:
    """Resume a search with exactly the decisions that an uninterrupted one would have made.

    Raises:
        ConfigError: a setting is invalid.
        DataError: the data have changed, and that was not accepted.
        ResultsError: the budget is exhausted, the code has changed, or the search is running.
        ResourceError: no trial can run.
    """
    from handsigns.config.load import load_search_config
    from handsigns.results.networks import write_latency_table
    from handsigns.tracking.registry import ensure_installed

    overrides = tracking_overrides(request.track)
    config = load_search_config(
        search.paths.search_config, overrides, options=explicit_settings(request.settings)
    )
    ensure_installed(config.tracking.enabled)
    done = _exhausted_budget(config, search)
    if done is not None:
        return _record_end(search, config, *done)
    user_code = load_user_code_for_resume(search, allowed=request.inputs.trust_user_code)
    with exclusive_access(search.paths):
        data = open_search_data(search, request.inputs.data)
        _ensure_data_unchanged(search, data, accepted=request.accept_changed_data)
        _ensure_code_unchanged(search, user_code, accepted=request.accept_changed_code)
        smoke_test_networks(config, user_code, data)
        limited = limit_space(config, data.info, user_code, search.paths.latencies)
        limited_space, latencies = limited or (None, {})
        _save_inputs(search, config, data, request.inputs.data, user_code)
        if latencies:
            write_latency_table(search.paths.latencies, latencies)
        return run_trials(search, config, data, user_code, limited_space, options)


def _exhausted_budget(config: SearchConfig, search: StoredSearch) -> tuple[str, str] | None:
    """Return why the budget is exhausted and how to extend it; None if it is not."""
    journal, paths = search.journal, search.paths
    finished = [record for record in journal.records if record.is_terminal]
    if len(finished) >= config.budget.trials:
        more = paths.command("resume", "--trials", str(2 * len(finished)), *paths.trust_options)
        done = "the trial" if len(finished) == 1 else f"all {len(finished)} trials"
        are = "is" if len(finished) == 1 else "are"
        return f"{done} of {paths.name} {are} done", f"to run more: {more}"
    limit = config.budget.time_budget
    if limit is not None and journal.elapsed >= limit:
        more = paths.command(
            "resume", "--time-budget", format_duration(math.ceil(2 * limit)), *paths.trust_options
        )
        return (
            f"the time budget of {paths.name}, {format_duration(limit)}, is exhausted",
            f"to extend it: {more}",
        )
    return None


def _record_end(search: StoredSearch, config: SearchConfig, reason: str, more: str) -> FinishedRun:
    """Record the end of a search that was killed after its last trial.

    Raises:
        ResultsError: the end is already recorded, or the search is running.
        ResourceError: its storage cannot be read.
    """
    if search.journal.stop_reason:
        raise ResultsError(f"{reason}; {more}")

    from handsigns.tuning.recovery import mark_finished
    from handsigns.tuning.request import SearchResult

    with exclusive_access(search.paths):
        mark_finished(config, search.paths, reason)
    search = reload(search)
    return FinishedRun(
        search, SearchResult(search.journal.records, reason, interrupted=False), more
    )


def _ensure_data_unchanged(search: StoredSearch, data: DataSet, *, accepted: bool) -> None:
    expected = search.data.info.fingerprint
    if data.info.fingerprint != expected and not accepted:
        raise DataError(
            f"{describe_change(search, data, expected)}. Restore the original images or give their "
            f"folder (--data DIR); or resume on the changed data set, on which unfinished trials "
            f"restart: --accept-changed-data"
        )


def _ensure_code_unchanged(
    search: StoredSearch, user_code: UserCode | None, *, accepted: bool
) -> None:
    from handsigns.results.environment import code_changes, describe_environment

    sessions = search.journal.sessions
    if accepted or not sessions:
        return
    changes = code_changes(sessions[-1].environment, describe_environment(user_code))
    if changes:
        raise ResultsError(
            f"the environment of {search.paths.name} has changed: {'; '.join(changes)}. Its trials "
            f"may no longer be reproducible. Restore the previous environment, or resume anyway: "
            f"--accept-changed-code"
        )


def _save_inputs(
    search: StoredSearch,
    config: SearchConfig,
    data: DataSet,
    data_folder: Path | None,
    user_code: UserCode | None,
) -> None:
    """Save the settings, data and user code with which the search continues."""
    from handsigns.config.load import dump_search_config
    from handsigns.config.user_code import save_user_code
    from handsigns.io.atomic import write_text
    from handsigns.results.store import update_data_record

    save_user_code(search.paths.user_code, user_code)
    update_data_record(search, data.info, data_folder)
    write_text(search.paths.search_config, dump_search_config(config))
