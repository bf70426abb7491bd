"""Measuring a search's best configurations again, as trials of the same engine."""

from __future__ import annotations

from handsigns.config.own_code import OwnCode
from handsigns.config.study import Reevaluation, Scheduler, StudyConfig, Tracking
from handsigns.data.open import DataSet
from handsigns.errors import ResultsError
from handsigns.files import free_name
from handsigns.search.journal import Journal
from handsigns.search.paths import RepeatPaths
from handsigns.search.repeats import RepeatPlan, plan_repeats
from handsigns.search.runner import SearchOutcome, run_search
from handsigns.search.store import StoredSearch


def plan_reevaluation(stored: StoredSearch, asked: Reevaluation) -> RepeatPlan:
    """The repeats of the best trials; those of fewer where fewer have a result.

    Raises:
        ResultsError: none has.
    """
    best = [record for record in stored.ranked if record.has_result][: asked.top]
    if not best:
        raise ResultsError(f"no trial of {stored.paths.name} has a result to measure again")
    return plan_repeats(best, asked.seeds, asked.folds, stored.study.seed)


def reevaluate(
    stored: StoredSearch,
    data: DataSet,
    asked: Reevaluation,
    address: str | None = None,
    own: OwnCode | None = None,
    exit_at_second_interrupt: bool = False,
) -> SearchOutcome | None:
    """Train the best configurations again to the end, each with the same fresh seeds.

    What was trained already, for this or an earlier wish, is not trained again; what was broken off
    goes on. On other pictures than before all of it begins anew, and the earlier is kept aside.

    Args:
        stored: the search, held by this process.
        asked: how many configurations, seeds and folds.
        address, own, exit_at_second_interrupt: as of `run_search`.

    Returns:
        how it ended; None where nothing was left to be trained.

    Raises:
        ResultsError, ResourceError: see `run_search`; or no trial has a result.
    """
    plan = plan_reevaluation(stored, asked)
    paths = stored.paths.repeats
    _make_room(paths, stored.study.seed, data.info.fingerprint)
    journal = Journal(paths.journal, stored.study.seed)
    ended = {record.trial_id for record in journal.records if record.ended}
    if ended.issuperset(plan.names):
        return None
    known = {record.trial_id for record in journal.records}
    study = _as_study(stored.study, asked, len(known | set(plan.names)), journal.elapsed)
    return run_search(
        study,
        data,
        paths,
        address,
        own=own,
        exit_at_second_interrupt=exit_at_second_interrupt,
        plan=plan,
    )


def _as_study(study: StudyConfig, asked: Reevaluation, trials: int, spent: float) -> StudyConfig:
    """The search's settings for its repeats: all are trained to the end."""
    limit = None if asked.time_budget is None else spent + asked.time_budget
    budget = study.budget.model_copy(
        update={"trials": trials, "time_budget": limit, "target": None, "patience": None}
    )
    return study.model_copy(
        update={"budget": budget, "scheduler": Scheduler(name="none"), "tracking": Tracking()}
    )


def _make_room(paths: RepeatPaths, study_seed: int, fingerprint: str) -> None:
    if paths.journal.exists():
        sessions = Journal(paths.journal, study_seed).sessions
        if sessions and sessions[-1].fingerprint != fingerprint:
            paths.root.rename(free_name(paths.root))
    paths.checkpoints.mkdir(parents=True, exist_ok=True)
