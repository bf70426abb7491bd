"""Measuring a search's best configurations again, as trials of the same engine."""

from __future__ import annotations

from handsigns.config.search import Reevaluation, Scheduler, StudyConfig, Tracking
from handsigns.config.user_code import OwnCode
from handsigns.console.format import counted
from handsigns.data.dataset import DataSet
from handsigns.errors import ConfigError, ResultsError
from handsigns.io.atomic import free_name
from handsigns.policy.reevaluation import PlannedRuns
from handsigns.results.journal import Journal
from handsigns.results.paths import RepeatPaths
from handsigns.results.reevaluation import (
    RepeatPlan,
    fitting_folds,
    pictures_of_rarest,
    write_plan,
)
from handsigns.results.store import StoredSearch
from handsigns.tuning.recovery import conclude_search
from handsigns.tuning.session import SearchOutcome, SearchRequest, SearchSession


def plan_reevaluation(stored: StoredSearch, asked: Reevaluation) -> RepeatPlan:
    """The repeats of the best trials; those of fewer where fewer have a result.

    Raises:
        ResultsError: none has.
        ConfigError: there are not as many pictures of a class as folds.
    """
    best = [record.trial_id for record in stored.ranked if record.has_result][: asked.top]
    if not best:
        raise ResultsError(f"no trial of {stored.paths.name} has a result to measure again")
    if fitting_folds(asked.folds, stored.data.info) != asked.folds:
        fewest = pictures_of_rarest(stored.data.info)
        raise ConfigError(
            f"{asked.folds} folds are too many: the rarest class has {counted(fewest, 'image')} in "
            f"train and val (--folds {fitting_folds(5, stored.data.info)})"
        )
    return RepeatPlan(tuple(best), asked.seeds, asked.folds)


def reevaluate(
    stored: StoredSearch,
    data: DataSet,
    plan: RepeatPlan,
    time_budget: float | None = None,
    address: str | None = None,
    own: OwnCode | None = None,
    exit_at_second_interrupt: bool = False,
) -> SearchOutcome | None:
    """Train the best configurations again to the end, each with the same fresh seeds.

    What was trained already, for this or an earlier plan, is not trained again; what was
    interrupted is resumed. On other images than before all of it starts anew, and the earlier is
    kept aside.

    Args:
        stored: the search, held by this process.
        plan: what is trained, and compared from now on.
        time_budget: seconds of this session; None sets no limit.
        address, own, exit_at_second_interrupt: as of `SearchRequest`.

    Returns:
        How it ended; None where nothing was left to be trained.

    Raises:
        ResultsError, ResourceError: see `SearchSession.run`.
    """
    paths = stored.paths.repeats
    _make_room(paths, data.info.fingerprint)
    journal = Journal(paths.journal)
    write_plan(paths, plan, journal.records)
    known = {record.trial_id: record for record in journal.records}
    limit = None if time_budget is None else journal.elapsed + time_budget
    ended = {name for name, record in known.items() if record.ended}
    study = _as_study(stored.study, len(ended | plan.names), limit)
    if plan.names <= ended:
        if journal.ended_because:
            return None
        reason = "all of them had ended"
        conclude_search(study, paths, reason)
        return SearchOutcome(Journal(paths.journal).records, reason, by_user=False)
    records = {record.trial_id: record for record in stored.journal.records}
    request = SearchRequest(
        study,
        data,
        paths,
        source=lambda study, journal: PlannedRuns(
            plan, {record.trial_id for record in journal.records}, records, study.seed
        ),
        address=address,
        user_code=own,
        exit_at_second_interrupt=exit_at_second_interrupt,
    )
    return SearchSession(request).run()


def _as_study(study: StudyConfig, trials: int, time_budget: float | None) -> StudyConfig:
    """The search's settings for its repeats: all are trained to the end."""
    budget = study.budget.model_copy(
        update={"trials": trials, "time_budget": time_budget, "target": None, "patience": None}
    )
    return study.model_copy(
        update={"budget": budget, "scheduler": Scheduler(name="none"), "tracking": Tracking()}
    )


def _make_room(paths: RepeatPaths, fingerprint: str) -> None:
    sessions = Journal(paths.journal).sessions
    if sessions and sessions[-1].fingerprint != fingerprint:
        paths.root.rename(free_name(paths.root))
    paths.checkpoints.mkdir(parents=True, exist_ok=True)
