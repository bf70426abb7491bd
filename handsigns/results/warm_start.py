"""What a new search takes over from an earlier one: its results, and where to begin.

Where both measured the same thing (same pictures, objective and epochs), the earlier trials that
lie within the new space are told to the sampler as if it had chosen them. The best configurations
of the earlier search, moved to the nearest values that the new space has, are tried first in any
case, so that the new leaderboard stands on trials of its own.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from handsigns.config.hyperparameters import Scalar, TrialConfig
from handsigns.config.search import StudyConfig
from handsigns.console.format import counted
from handsigns.errors import ConfigError, ResultsError
from handsigns.io.json_file import read_json, write_json
from handsigns.results.trial import TrialRecord, rank

Params = dict[str, Scalar]

FIRST = 3
"""Of the best configurations, how many are tried first."""


@dataclass(frozen=True)
class KnownTrial:
    """A trial of the earlier search, in the terms of the new space.

    Attributes:
        params: of the new space, those that are active.
        values: of the objective after each epoch.
        completed: whether it trained all epochs; it was stopped early otherwise.
    """

    params: Params
    values: tuple[float, ...]
    completed: bool


@dataclass(frozen=True)
class WarmStart:
    """What an earlier search has taught.

    Attributes:
        search: its name.
        known: trials for the sampler to learn from.
        first: configurations to try first.
        notes: what the user should know.
    """

    search: str
    known: tuple[KnownTrial, ...]
    first: tuple[Params, ...]
    notes: tuple[str, ...]


def make_warm_start(
    study: StudyConfig,
    fingerprint: str,
    earlier: StudyConfig,
    earlier_fingerprint: str,
    records: list[TrialRecord],
    name: str,
) -> WarmStart:
    """Learn from the trials of an earlier search.

    Args:
        study, fingerprint: the new search and its data.
        earlier, earlier_fingerprint, records, name: the earlier one.

    Raises:
        ConfigError: the new search tries a whole grid, so there is nothing to choose.
        ResultsError: the earlier one has no result yet.
    """
    if study.searcher.name == "grid":
        raise ConfigError(
            "--warm-start has no use with searcher grid, which tries everything; use tpe"
        )
    usable = [record for record in records if record.status in ("completed", "stopped")]
    if not usable:
        raise ResultsError(f"no trial of {name} has ended with a result to learn from")
    best = [record for record in rank(usable, earlier.objective) if record.status == "completed"]
    first = tuple(
        study.space.nearest_params(record.config.hyperparameters())
        for record in (best or usable)[:FIRST]
    )
    notes = [_tried(study, first, name)]
    differing = _differences(study, fingerprint, earlier, earlier_fingerprint)
    if differing:
        notes.append(
            f"the results of {name} do not compare with those of this search "
            f"({', '.join(differing)}), so the sampler learns from its own trials alone"
        )
        return WarmStart(name, (), first, tuple(notes))
    known = [_known(study, record) for record in usable]
    inside = tuple(trial for trial in known if trial is not None)
    others = "; the others lie outside this search space" if len(inside) < len(usable) else ""
    total = counted(len(usable), "trial")
    notes.append(f"the sampler knows {len(inside)} of its {total}{others}")
    return WarmStart(name, inside, first, tuple(notes))


def _tried(study: StudyConfig, first: tuple[Params, ...], name: str) -> str:
    """Say which of the first configurations this search has trials for."""
    baseline = study.baseline_params()
    recipe = [TrialConfig.from_params(baseline)] if baseline else []
    planned = list(dict.fromkeys([*recipe, *map(TrialConfig.from_params, first)]))
    best, trials = len(planned) - len(recipe), study.budget.trials
    if not best:
        return f"the best configuration of {name} is the recommended recipe, which is tried first"
    tried = max(0, min(best, trials - len(recipe)))
    what = f"best {counted(best, 'configuration') if best > 1 else 'configuration'} of {name}"
    if tried == best:
        what = f"the {what}"
    else:
        only = f"there {'is' if trials == 1 else 'are'} only {counted(trials, 'trial')}"
        what = f"{tried or 'none'} of the {what}, as {only}"
    before = "the recommended recipe is tried first, then" if recipe else "tried first:"
    return f"{before} {what}"


def write_warm_start(path: Path, warm_start: WarmStart) -> None:
    """Keep it with the search, which must not depend on the other one's folder."""
    write_json(path, dataclasses.asdict(warm_start))


def read_warm_start(path: Path) -> WarmStart | None:
    """What was kept; None where there is nothing.

    Raises:
        ResultsError: the file is damaged.
    """
    try:
        return read_json(path, WarmStart)
    except FileNotFoundError:
        return None


def _differences(
    study: StudyConfig, fingerprint: str, earlier: StudyConfig, earlier_fingerprint: str
) -> list[str]:
    compared = {
        "other pictures": (fingerprint, earlier_fingerprint),
        "another objective": (study.objective, earlier.objective),
        "another number of epochs": (study.budget.max_epochs, earlier.budget.max_epochs),
    }
    return [what for what, (here, there) in compared.items() if here != there]


def _known(study: StudyConfig, record: TrialRecord) -> KnownTrial | None:
    """The trial in terms of the new space; None where it lies outside."""
    params = study.space.nearest_params(record.config.hyperparameters())
    if TrialConfig.from_params(params) != record.config:
        return None
    values = tuple(study.objective.of(metrics) for metrics in record.epochs)
    return KnownTrial(params, values, record.status == "completed")
