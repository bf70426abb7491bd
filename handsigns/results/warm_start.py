"""Warm start of a new search from an earlier one: its results and its best configurations.

If both are comparable (same images, objective and epochs), the earlier trials inside the new space
are added to the sampler's history. In any case the best configurations of the earlier search,
moved to the nearest values of the new space, are tried first, so that the new leaderboard consists
of the new search's own trials.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.search import SearchConfig
from handsigns.console.format import pluralize
from handsigns.errors import ConfigError, ResultsError
from handsigns.io.json_file import read_json, write_json
from handsigns.results.trial import Params, TrialRecord, rank

NUM_ENQUEUED = 3
"""Number of best configurations that are tried first."""


@dataclass(frozen=True)
class PriorTrial:
    """Trial of the earlier search, expressed in the new space.

    Attributes:
        params: active parameters of the new space.
        intermediate_values: objective value after each epoch.
        completed: whether it trained all epochs; otherwise it was stopped or paused early, or the
            search was interrupted.
    """

    params: Params
    intermediate_values: tuple[float, ...]
    completed: bool


@dataclass(frozen=True)
class WarmStart:
    """Trials and configurations taken over from an earlier search.

    Attributes:
        search: name of the earlier search.
        prior_trials: trials for the sampler's history.
        enqueued_params: configurations to try first.
        notes: notices for the user.
    """

    search: str
    prior_trials: tuple[PriorTrial, ...]
    enqueued_params: tuple[Params, ...]
    notes: tuple[str, ...]


def make_warm_start(
    search_config: SearchConfig,
    fingerprint: str,
    source_config: SearchConfig,
    source_fingerprint: str,
    records: list[TrialRecord],
    name: str,
) -> WarmStart:
    """Derive a warm start from the trials of an earlier search.

    Args:
        search_config: configuration of the new search.
        fingerprint: fingerprint of its data.
        source_config: configuration of the earlier search.
        source_fingerprint: fingerprint of its data.
        records: trials of the earlier search.
        name: name of the earlier search.

    Raises:
        ConfigError: the new search is a grid search, which has no use for a warm start.
        ResultsError: the earlier search has no result yet.
    """
    if search_config.searcher.name == "grid":
        raise ConfigError(
            "--warm-start has no effect with searcher grid, which tries all values; use tpe"
        )
    usable = [record for record in records if record.has_result]
    if not usable:
        raise ResultsError(f"no trial of {name} has a result yet")
    ranked = rank(usable, source_config.objective)
    completed = [record for record in ranked if record.status == "completed"]
    best = completed or sorted(ranked, key=lambda record: len(record.epochs), reverse=True)
    first = tuple(
        search_config.space.nearest_params(record.config.hyperparameters())
        for record in best[:NUM_ENQUEUED]
    )
    notes = [_enqueue_note(search_config, first, name)]
    differing = _differences(search_config, fingerprint, source_config, source_fingerprint)
    if differing:
        notes.append(
            f"the results of {name} are not comparable with those of this search "
            f"({', '.join(differing)}), so the sampler uses only its own trials"
        )
        return WarmStart(name, (), first, tuple(notes))
    prior = [_to_prior_trial(search_config, record) for record in usable]
    inside = tuple(trial for trial in prior if trial is not None)
    others = "; the others lie outside this search space" if len(inside) < len(usable) else ""
    total = pluralize(len(usable), "trial")
    notes.append(f"the sampler uses {len(inside)} of its {total}{others}")
    return WarmStart(name, inside, first, tuple(notes))


def _enqueue_note(search_config: SearchConfig, first: tuple[Params, ...], name: str) -> str:
    """Describe which of the enqueued configurations the trial budget covers."""
    baseline = search_config.baseline_params()
    recipe = [TrialConfig.from_params(baseline)] if baseline else []
    planned = list(dict.fromkeys([*recipe, *map(TrialConfig.from_params, first)]))
    best, trials = len(planned) - len(recipe), search_config.budget.trials
    if not best:
        return f"the best configuration of {name} is the recommended recipe, which is tried first"
    tried = max(0, min(best, trials - len(recipe)))
    what = f"best {pluralize(best, 'configuration') if best > 1 else 'configuration'} of {name}"
    if tried == best:
        what = f"the {what}"
    else:
        only = f"there {'is' if trials == 1 else 'are'} only {pluralize(trials, 'trial')}"
        what = f"{tried or 'none'} of the {what}, as {only}"
    before = "the recommended recipe is tried first, then" if recipe else "tried first:"
    return f"{before} {what}"


def write_warm_start(path: Path, warm_start: WarmStart) -> None:
    """Store a warm start with the new search, independent of the earlier search's folder."""
    write_json(path, dataclasses.asdict(warm_start))


def read_warm_start(path: Path) -> WarmStart | None:
    """Read the warm start of a search; None if it has none.

    Raises:
        ResultsError: the file is damaged.
    """
    try:
        return read_json(path, WarmStart)
    except FileNotFoundError:
        return None


def _differences(
    config: SearchConfig, fingerprint: str, source_config: SearchConfig, source_fingerprint: str
) -> list[str]:
    compared = {
        "different images": (fingerprint, source_fingerprint),
        "different objective": (config.objective, source_config.objective),
        "different number of epochs": (config.budget.max_epochs, source_config.budget.max_epochs),
    }
    return [what for what, (new, source) in compared.items() if new != source]


def _to_prior_trial(search_config: SearchConfig, record: TrialRecord) -> PriorTrial | None:
    """Express a trial in the new space; None if it lies outside."""
    params = search_config.space.nearest_params(record.config.hyperparameters())
    if TrialConfig.from_params(params) != record.config:
        return None
    values = tuple(search_config.objective.value_of(metrics) for metrics in record.epochs)
    return PriorTrial(params, values, record.status == "completed")
