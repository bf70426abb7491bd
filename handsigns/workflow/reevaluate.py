"""Re-evaluation of the top trials with fresh seeds, against the winner's curse."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from handsigns.console.format import pluralize
from handsigns.errors import ResultsError
from handsigns.workflow.data import InputOptions, open_verified_data
from handsigns.workflow.searches import reload
from handsigns.workflow.suspects import update_suspects
from handsigns.workflow.sync import exclusive_access
from handsigns.workflow.trials import RunOptions
from handsigns.workflow.user_code import load_user_code_for_trials, select_by_user_code

if TYPE_CHECKING:
    from handsigns.config.sections import Reevaluation
    from handsigns.data.dataset import DataSet
    from handsigns.results.reevaluation import ReevaluationPlan
    from handsigns.results.store import StoredSearch
    from handsigns.tuning.request import SearchResult

PLAN_SETTINGS = ("top", "seeds", "folds")
REEVALUATION_SETTINGS = (*PLAN_SETTINGS, "time_budget")
"""Settings that the command accepts; `PLAN_SETTINGS` determine the runs."""


def reevaluate(
    search: StoredSearch,
    values: Mapping[str, object],
    inputs: InputOptions,
    options: RunOptions,
) -> tuple[StoredSearch, SearchResult | None]:
    """Re-evaluate the top trials with fresh seeds, showing progress.

    Finished runs are kept. Without any of the `PLAN_SETTINGS`, an unfinished plan is resumed as it
    is, and a finished one keeps its size if the search's own settings ask for less.

    Args:
        search: the search.
        values: `REEVALUATION_SETTINGS` that override the search's; None if not given.
        inputs: its data and user code.
        options: where to run.

    Returns:
        The reloaded search and the outcome; None if no run was left.

    Raises:
        ConfigError: a setting cannot be used, or user code is not trusted.
        ResultsError: no trial has a result, or the search is being run.
        DataError: the data have changed.
        ResourceError: see `SearchSession.run`.
        KeyboardInterrupt: it was interrupted; the message says how to resume it.
    """
    from handsigns.tuning.reevaluation import reevaluate as run_reevaluation

    plan, time_budget = choose_plan(
        search, {name: values.get(name) for name in REEVALUATION_SETTINGS}
    )
    planned, others = select_by_user_code(search, [search.trial(one) for one in plan.trial_ids])
    plan = dataclasses.replace(plan, trial_ids=tuple(record.trial_id for record in planned))
    for record in others:
        print(
            f"note: trial {record.trial_id} is not re-evaluated: it ran another version of your "
            f"code than the best"
        )
    user_code = load_user_code_for_trials(search, planned, allowed=inputs.trust_user_code)
    data = open_verified_data(search, inputs.data)
    many = "best trial" if len(plan.trial_ids) == 1 else f"best {len(plan.trial_ids)} trials"
    folds = f", {pluralize(plan.folds, 'fold')}" if plan.folds else ""
    print(
        f"\nre-evaluation: the {many}, {pluralize(len(plan.runs), 'fresh run')} each "
        f"({pluralize(plan.seeds, 'seed')}{folds})",
        flush=True,
    )
    _print_deviation(plan, data, search.config.seed)
    address = () if options.address is None else ("--address", options.address)
    paths = dataclasses.replace(search.paths.reevaluation, arguments=(*address, *inputs.arguments))
    try:
        with exclusive_access(search.paths):
            outcome = run_reevaluation(
                search,
                data,
                plan,
                paths,
                time_budget,
                options.address,
                user_code=user_code,
                exit_on_second_interrupt=options.exit_on_second_interrupt,
            )
            search = reload(search)
            update_suspects(search, data)
        if outcome is not None and outcome.interrupted:
            raise KeyboardInterrupt
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"interrupted; resume with: {paths.resume_command}") from error
    return search, outcome


def _print_deviation(plan: ReevaluationPlan, data: DataSet, search_seed: int) -> None:
    """Print by how much folds deviate from stratification, to keep groups together."""
    fold = plan.runs[0].validation_fold(search_seed)
    deviation = 0 if fold is None else fold.deviation(data.train, data.val)
    if deviation > 1:
        print(
            f"note: to keep groups together, the folds differ by up to {deviation} images of a "
            f"class",
            flush=True,
        )


def choose_plan(
    search: StoredSearch, values: Mapping[str, object]
) -> tuple[ReevaluationPlan, float | None]:
    """Return the plan and its time limit in seconds; see `reevaluate`.

    Raises:
        ConfigError, ResultsError: see `reevaluate`.
    """
    from handsigns.config.load import reevaluation
    from handsigns.tuning.reevaluation import plan_reevaluation

    previous = _previous_plan(search)
    given = {name: value for name, value in values.items() if value is not None}
    if previous is None or given.keys() & set(PLAN_SETTINGS):
        settings = _resolve_settings(search, given)
        return plan_reevaluation(search, settings), settings.time_budget
    limit = reevaluation(search.config, given).time_budget
    others = "--top, --seeds and --folds change it"
    if not search.reevaluation_finished:
        print(f"\nnote: resuming the unfinished re-evaluation as planned; {others}")
        return previous, limit
    new = plan_reevaluation(search, _resolve_settings(search, given))
    if len(new.run_ids) >= len(previous.run_ids):
        return new, limit
    # The top trials may have changed, as the search may have been resumed.
    size = {"top": len(previous.trial_ids), "seeds": previous.seeds, "folds": previous.folds}
    print(f"\nnote: keeping the size of the previous re-evaluation; {others}")
    return plan_reevaluation(search, reevaluation(search.config, {**given, **size})), limit


def _previous_plan(search: StoredSearch) -> ReevaluationPlan | None:
    """Return the latest plan; None if it is missing, or damaged and must be replaced.

    Raises:
        ResultsError: the journal of the re-evaluation is damaged.
    """
    _ = search.reevaluation_journal
    try:
        return search.reevaluation_plan
    except ResultsError:
        return None


def _resolve_settings(search: StoredSearch, given: Mapping[str, object]) -> Reevaluation:
    """Merge the given settings with the search's, whose folds are reduced for small classes."""
    from handsigns.config.load import reevaluation
    from handsigns.results.reevaluation import feasible_folds

    settings = reevaluation(search.config, given)
    folds = feasible_folds(settings.folds, search.data.info)
    if folds == settings.folds or "folds" in given:
        return settings
    fewer = f"{pluralize(folds, 'fold')} instead of {settings.folds}"
    print(f"\nnote: {fewer}: the smallest class has too few images")
    return settings.model_copy(update={"folds": folds})
