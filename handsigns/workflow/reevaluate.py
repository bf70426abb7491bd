"""Re-evaluate the top trials of a search with fresh seeds, for a choice without its luck."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from handsigns.workflow.data import Sources, open_unchanged
from handsigns.workflow.searches import reloaded
from handsigns.workflow.trials import RunOptions
from handsigns.workflow.user_code import user_code_of_trial

if TYPE_CHECKING:
    from handsigns.config.search import Reevaluation
    from handsigns.results.store import StoredSearch
    from handsigns.tuning.session import SearchOutcome

SETTINGS = ("top", "seeds", "folds", "time_budget")
"""Settings of a re-evaluation that can be given with the command."""


def reevaluate(
    search: StoredSearch,
    values: Mapping[str, object],
    sources: Sources,
    options: RunOptions,
) -> tuple[StoredSearch, SearchOutcome | None]:
    """Train the top trials again with fresh seeds, showing progress.

    What was trained already is not trained again; what was interrupted continues.

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
    from handsigns.tuning.reevaluation import plan_reevaluation
    from handsigns.tuning.reevaluation import reevaluate as train_again

    asked = _settings(search, {name: values.get(name) for name in SETTINGS})
    plan = plan_reevaluation(search, asked)
    first = search.trial(plan.trial_ids[0])
    user_code = user_code_of_trial(search, first, allowed=sources.trust_user_code)
    data = open_unchanged(search, sources.data)
    many = "best trial" if len(plan.trial_ids) == 1 else f"best {len(plan.trial_ids)} trials"
    print(f"\nre-evaluation: the {many}, {len(plan.runs)} fresh runs each", flush=True)
    with held(search.paths):
        outcome = train_again(
            search,
            data,
            plan,
            asked.time_budget,
            options.address,
            own=user_code,
            exit_at_second_interrupt=options.exit_at_second_interrupt,
        )
    return reloaded(search), outcome


def _settings(search: StoredSearch, values: Mapping[str, object]) -> Reevaluation:
    """Merge what is asked for with the search's settings, which give way to small classes."""
    from handsigns.config.load import reevaluation
    from handsigns.results.reevaluation import fitting_folds

    given = {name: value for name, value in values.items() if value is not None}
    asked = reevaluation(search.study, given)
    folds = fitting_folds(asked.folds, search.data.info)
    if folds == asked.folds or "folds" in given:
        return asked
    print(f"\nnote: {folds} folds, not {asked.folds}: the rarest class has too few pictures")
    return asked.model_copy(update={"folds": folds})
