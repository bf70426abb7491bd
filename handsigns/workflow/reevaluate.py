"""Re-evaluate the top trials of a search with fresh seeds, for a choice without its luck."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from handsigns.console.format import counted
from handsigns.errors import ResultsError
from handsigns.workflow.data import Sources, open_unchanged
from handsigns.workflow.searches import reloaded
from handsigns.workflow.trials import RunOptions
from handsigns.workflow.user_code import user_code_of_trial

if TYPE_CHECKING:
    from handsigns.config.search import Reevaluation
    from handsigns.results.reevaluation import RepeatPlan
    from handsigns.results.store import StoredSearch
    from handsigns.tuning.session import SearchOutcome

PLAN = ("top", "seeds", "folds")
SETTINGS = (*PLAN, "time_budget")
"""Settings of a re-evaluation that can be given with the command; those of `PLAN` say what is
trained.
"""


def reevaluate(
    search: StoredSearch,
    values: Mapping[str, object],
    sources: Sources,
    options: RunOptions,
) -> tuple[StoredSearch, SearchOutcome | None]:
    """Train the top trials again with fresh seeds, showing progress.

    What was trained already is not trained again. Where no setting of `PLAN` is given, an
    unfinished plan is resumed as it is, and a finished one keeps its size where the search's own
    settings ask for less.

    Args:
        search: the search.
        values: `SETTINGS` in place of the search's own; None where not given.
        sources: its data and user code.
        options: where to run.

    Returns:
        the search, read again, and how it ended; None where nothing was left to be trained.

    Raises:
        ConfigError: a setting cannot be used, or user code is not trusted.
        ResultsError: no trial has a result, or the search is being run.
        DataError: the data have changed.
        ResourceError: see `SearchSession.run`.
    """
    from handsigns.results.store import held
    from handsigns.tuning.reevaluation import reevaluate as train_again

    plan, time_budget = choose_plan(search, {name: values.get(name) for name in SETTINGS})
    first = search.trial(plan.trial_ids[0])
    user_code = user_code_of_trial(search, first, allowed=sources.trust_user_code)
    data = open_unchanged(search, sources.data)
    many = "best trial" if len(plan.trial_ids) == 1 else f"best {len(plan.trial_ids)} trials"
    folds = f", {counted(plan.folds, 'fold')}" if plan.folds else ""
    print(
        f"\nre-evaluation: the {many}, {counted(len(plan.runs), 'fresh run')} each "
        f"({counted(plan.seeds, 'seed')}{folds})",
        flush=True,
    )
    try:
        with held(search.paths):
            outcome = train_again(
                search,
                data,
                plan,
                time_budget,
                options.address,
                own=user_code,
                exit_at_second_interrupt=options.exit_at_second_interrupt,
            )
    except KeyboardInterrupt as error:
        again = search.paths.repeats.go_on
        raise KeyboardInterrupt(f"interrupted; resume with: {again}") from error
    return reloaded(search), outcome


def choose_plan(
    search: StoredSearch, values: Mapping[str, object]
) -> tuple[RepeatPlan, float | None]:
    """Return what is trained, and for how many seconds at most; see `reevaluate`.

    Raises:
        ConfigError, ResultsError: see `reevaluate`.
    """
    from handsigns.config.load import reevaluation
    from handsigns.tuning.reevaluation import plan_reevaluation

    before = _earlier_plan(search)
    given = {name: value for name, value in values.items() if value is not None}
    if before is None or given.keys() & set(PLAN):
        asked = _settings(search, given)
        return plan_reevaluation(search, asked), asked.time_budget
    limit = reevaluation(search.study, given).time_budget
    others = "--top, --seeds and --folds ask for another"
    if not search.plan_finished:
        print(f"\nnote: the unfinished re-evaluation is resumed as planned; {others}")
        return before, limit
    new = plan_reevaluation(search, _settings(search, given))
    if len(new.names) >= len(before.names):
        return new, limit
    # The best may be others by now, as the search may have been resumed.
    size = {"top": len(before.trial_ids), "seeds": before.seeds, "folds": before.folds}
    print(f"\nnote: the size of the earlier re-evaluation is kept; {others}")
    return plan_reevaluation(search, reevaluation(search.study, {**given, **size})), limit


def _earlier_plan(search: StoredSearch) -> RepeatPlan | None:
    """Return the latest plan; None where there is none, or it is damaged and to be made anew.

    Raises:
        ResultsError: the journal of the re-evaluation is damaged.
    """
    _ = search.repeats
    try:
        return search.repeat_plan
    except ResultsError:
        return None


def _settings(search: StoredSearch, given: Mapping[str, object]) -> Reevaluation:
    """Merge what is asked for with the search's settings, which give way to small classes."""
    from handsigns.config.load import reevaluation
    from handsigns.results.reevaluation import fitting_folds

    asked = reevaluation(search.study, given)
    folds = fitting_folds(asked.folds, search.data.info)
    if folds == asked.folds or "folds" in given:
        return asked
    few = f"{counted(folds, 'fold')}, not {asked.folds}"
    print(f"\nnote: {few}: the rarest class has too few images")
    return asked.model_copy(update={"folds": folds})
