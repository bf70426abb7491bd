"""Forecast of what a search will cost, from the recorded learning curves of another one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.format import format_duration, pluralize
from handsigns.console.program import command
from handsigns.console.progress import progress
from handsigns.errors import ConfigError, ResultsError
from handsigns.results.paths import SearchPaths
from handsigns.workflow.limits import limit_space
from handsigns.workflow.report import REPORTS
from handsigns.workflow.searches import open_at
from handsigns.workflow.user_code import load_user_code_for_plan

if TYPE_CHECKING:
    from handsigns.config.search import SearchConfig
    from handsigns.policy.forecast import Forecast
    from handsigns.policy.limited_space import LimitedSpace
    from handsigns.policy.recording import Recording
    from handsigns.results.store import StoredSearch
    from handsigns.results.trial import TrialRecord

DEFAULT_WORKERS = (1, 4, 16, 64, 256)
DEFAULT_SEEDS = 20


def plan(
    name: str | None,
    space: str | None = None,
    workers: Sequence[int] = DEFAULT_WORKERS,
    *,
    price: float | None = None,
    seeds: int = DEFAULT_SEEDS,
    trust_user_code: bool = False,
    results: Path,
    reports: Path | None = REPORTS,
) -> tuple[Forecast, Path | None]:
    """Forecast a search, showing progress, and write a page.

    Args:
        name: name of the search whose trials are the recorded learning curves.
        space: search space to plan, a file or preset; None: that of the recorded search.
        workers: numbers of concurrent trials.
        price: price of a worker for an hour.
        seeds: number of simulated searches of few workers; of many there are fewer.
        trust_user_code: run user-defined networks, of which limits need the size.
        results: folder of all searches.
        reports: folder of all reports; None: write no page.

    Returns:
        The forecast, and the path of its page.

    Raises:
        ConfigError: no search is named, the space is not the recorded one, or a number is invalid.
        ResultsError: the search does not exist or is too short, its user code is not trusted, or
            the page's path holds something else.
    """
    if name is None:
        pilot = command("search", space or "SPACE", "--time-budget", "5m", "--name", "pilot")
        raise ConfigError(
            f"name a search whose learning curves are taken (--from NAME); a short one records "
            f"enough: {pilot}"
        )
    counts = _check_numbers(workers, price, seeds)
    search = open_at(SearchPaths.existing(results, name))
    config = _plan_config(space, search)

    from handsigns.policy.learning_curves import clip_distance
    from handsigns.policy.optuna_space import is_within
    from handsigns.policy.recording import read_recording

    recorded = search.config
    records = [r for r in search.journal.records if is_within(recorded.space, r.params)]
    clip = clip_distance(search.data.info.counts.get("val", ()))
    recording = read_recording(records, recorded.budget.max_epochs, recorded.objective, clip)
    if not recording.is_sufficient:
        raise ResultsError(_too_short(search, records, recording))
    limited_space = _limited_space(search, config, trust_user_code)
    forecast = _forecast(search, config, limited_space, recording, counts, price, seeds)
    if reports is None:
        return forecast, None

    from handsigns.reporting.plan import write_plan

    return forecast, write_plan(forecast, reports / f"plan-{name}")


def _check_numbers(workers: Sequence[int], price: float | None, seeds: int) -> list[int]:
    """Return the distinct numbers of workers, ascending."""
    from handsigns.policy.forecast import MAX_WORKERS, MIN_SEARCHES

    for count in workers:
        if not 1 <= count <= MAX_WORKERS:
            raise ConfigError(f"--workers: {count} is not between 1 and {MAX_WORKERS}")
    if not workers:
        raise ConfigError("--workers: give at least one number, such as 1,4,16")
    if seeds < MIN_SEARCHES:
        raise ConfigError(
            f"--seeds: an 80 % interval needs at least {MIN_SEARCHES} searches, not {seeds}"
        )
    if price is not None and not 0 < price < math.inf:
        raise ConfigError(f"--price: {price:g} is not above 0")
    return sorted(set(workers))


def _plan_config(space: str | None, search: StoredSearch) -> SearchConfig:
    """Return the configuration to plan.

    Raises:
        ConfigError: the recorded curves say nothing about it, or it takes too long to simulate.
    """
    config = search.config
    if space is not None:
        from handsigns.config.load import load_search_config
        from handsigns.config.presets import resolve_search_space
        from handsigns.policy.recording import differences

        config = load_search_config(resolve_search_space(space))
        if found := differences(config, search.config):
            pilot = command("search", space, "--time-budget", "5m", "--name", "NAME")
            raise ConfigError(
                f"the trials of {search.paths.name} say nothing about {space}: {'; '.join(found)}. "
                f"Record some of it ({pilot}), or omit SPACE to plan a search like "
                f"{search.paths.name}"
            )
    if config.searcher.name == "gp":
        raise ConfigError("searcher gp takes too long to simulate; plan with tpe in its place")
    return config


def _too_short(search: StoredSearch, records: Sequence[TrialRecord], recording: Recording) -> str:
    from handsigns.policy.recording import MIN_COMPLETED, MIN_TRIALS, recorded_trials

    num_ended = len(recorded_trials(records))
    return (
        f"{search.paths.name} is too short to plan from: {pluralize(num_ended, 'trial')} ended or "
        f"paused, {recording.num_completed} of them trained to the end, and at least {MIN_TRIALS} "
        f"and {MIN_COMPLETED} are needed. {_remedy(search)}"
    )


def _remedy(search: StoredSearch) -> str:
    """Return what to do about a search that is too short."""
    from handsigns.policy.recording import MIN_TRIALS
    from handsigns.results.search_lock import lock_owner

    size = search.config.space.size()
    if size is not None and size < MIN_TRIALS:
        return f"Its space has {pluralize(size, 'configuration')} only, too few to plan for"
    if lock_owner(search.paths):
        return "It is running: wait until it has them"
    longer = format_duration(60 * math.ceil(max(300.0, 2 * search.journal.elapsed) / 60))
    trials = max(2 * MIN_TRIALS, 2 * len(search.journal.records), search.config.budget.trials)
    resume = search.paths.command(
        "resume", "--time-budget", longer, "--trials", str(trials), *search.paths.trust_options
    )
    return f"Continue it: {resume}"


def _limited_space(
    search: StoredSearch, config: SearchConfig, trust_user_code: bool
) -> LimitedSpace | None:
    """Return the part of the planned space within its limits; None without limits."""
    if not config.limits.enabled:
        return None
    user_code = load_user_code_for_plan(search, config, allowed=trust_user_code)
    saved = search.paths.latencies if config is search.config else None
    limited = limit_space(config, search.data.info, user_code, saved)
    return None if limited is None else limited[0]


def _forecast(
    search: StoredSearch,
    config: SearchConfig,
    limited_space: LimitedSpace | None,
    recording: Recording,
    workers: Sequence[int],
    price: float | None,
    seeds: int,
) -> Forecast:
    with progress("simulating searches") as report:
        from handsigns.policy.forecast import Forecast, Forecaster, find_targets
        from handsigns.policy.learning_curves import LearningCurveModel
        from handsigns.tuning.scheduler import make_stopping_rule

        model = LearningCurveModel(
            search.config.space,
            recording.curves,
            by_score=config.objective.is_score,
            clip=recording.clip,
        )
        targets = find_targets(config, model, limited_space)
        forecaster = Forecaster(config, model, targets, make_stopping_rule, limited_space)
        estimates = forecaster.estimate(workers, seeds, price, report)
    error = recording.completion_error
    return Forecast(
        name=search.paths.name,
        metric=config.objective.metric,
        trials=len(recording.curves),
        completed=recording.num_completed,
        completion_error=None if error is None else math.expm1(error),
        model_error=math.expm1(model.residual_std),
        explained_variance=model.explained_variance,
        best_recorded=recording.best_completed,
        estimates=estimates,
    )
