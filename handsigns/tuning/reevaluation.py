"""Re-evaluation of a search's top trials, run as trials of the same engine."""

from __future__ import annotations

import functools

from handsigns.config.sections import Reevaluation
from handsigns.config.user_code import UserCode
from handsigns.console.format import pluralize
from handsigns.data.dataset import DataSet
from handsigns.errors import ConfigError, ResultsError
from handsigns.monitor.live import SearchDisplay
from handsigns.policy.planned import PlannedSource
from handsigns.results.journal import Journal
from handsigns.results.paths import ReevaluationPaths
from handsigns.results.reevaluation import (
    ReevaluationPlan,
    feasible_folds,
    smallest_class_size,
    write_plan,
)
from handsigns.results.store import StoredSearch
from handsigns.tuning.recovery import mark_finished, planned_runs_config, prepare_runs
from handsigns.tuning.request import SearchRequest, SearchResult
from handsigns.tuning.session import SearchSession


def plan_reevaluation(stored: StoredSearch, requested: Reevaluation) -> ReevaluationPlan:
    """Plan the re-evaluation of the top trials, or of fewer if fewer have a result.

    Raises:
        ResultsError: no trial has a result.
        ConfigError: a class has fewer images than there are folds.
    """
    best = [record.trial_id for record in stored.ranked if record.has_result][: requested.top]
    if not best:
        raise ResultsError(f"no trial of {stored.paths.name} has a result to re-evaluate")
    if feasible_folds(requested.folds, stored.data.info) != requested.folds:
        kind = "group of images" if stored.data.info.groups else "image"
        kinds = "groups of images" if stored.data.info.groups else "images"
        raise ConfigError(
            f"{requested.folds} folds are too many: the smallest class has "
            f"{pluralize(smallest_class_size(stored.data.info), kind, kinds)} in train and val "
            f"(--folds {feasible_folds(5, stored.data.info)})"
        )
    return ReevaluationPlan(tuple(best), requested.seeds, requested.folds)


def reevaluate(
    stored: StoredSearch,
    data: DataSet,
    plan: ReevaluationPlan,
    paths: ReevaluationPaths,
    time_budget: float | None = None,
    address: str | None = None,
    user_code: UserCode | None = None,
    exit_on_second_interrupt: bool = False,
) -> SearchResult | None:
    """Train the top configurations to the end, each with the same fresh seeds.

    Finished runs of this or an earlier plan are kept, interrupted ones resumed. On changed images
    all runs restart, and the earlier results are archived.

    Args:
        stored: the search, locked by this process.
        data: data set of the search.
        plan: runs to train and, from now on, to compare.
        paths: its files.
        time_budget: seconds of this session; None sets no limit.
        address, user_code, exit_on_second_interrupt: see `SearchRequest`.

    Returns:
        The result of the session; None if no run was left.

    Raises:
        ResultsError, ResourceError: see `SearchSession.run`.
    """
    journal = prepare_runs(stored.config, paths, data.info.fingerprint, plan.run_ids)
    write_plan(paths, plan, journal.records)
    time_limit = None if time_budget is None else journal.elapsed + time_budget
    ended = {record.trial_id for record in journal.records if record.is_terminal}
    search_config = planned_runs_config(stored.config, len(ended | plan.run_ids), time_limit)
    if plan.finished(journal.records):
        if journal.stop_reason:
            return None
        reason = "all runs are done"
        mark_finished(search_config, paths, reason)
        return SearchResult(Journal(paths.journal).records, reason, interrupted=False)
    records = {record.trial_id: record for record in stored.journal.records}
    request = SearchRequest(
        search_config,
        data,
        paths,
        make_source=lambda search_config, journal: PlannedSource(
            plan.specs(records, search_config.seed),
            started={record.trial_id for record in journal.records},
        ),
        make_display=functools.partial(SearchDisplay, shows_chance=False),
        address=address,
        user_code=user_code,
        exit_on_second_interrupt=exit_on_second_interrupt,
    )
    return SearchSession(request).run()
