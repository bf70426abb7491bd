"""Results of a re-evaluation: means, confidence intervals, paired comparison of the best two."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handsigns.config.sections import Objective
from handsigns.console.format import interval_cell
from handsigns.metrics import METRICS, EpochMetrics, Metric
from handsigns.results.reevaluation import ReevaluatedTrial
from handsigns.results.store import StoredSearch
from handsigns.stats.intervals import ROUNDING, mean_confidence_interval

if TYPE_CHECKING:
    import pandas as pd

_INTERVAL_COLUMNS = {metric: (metric, f"{metric}_low", f"{metric}_high") for metric in METRICS}


@dataclass(frozen=True)
class MeanEstimate:
    """Mean of a metric over runs; its interval is None for a single run or identical values."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class ReevaluationSummary:
    """Summary of a re-evaluated configuration.

    Attributes:
        trial_id: ID of the search's trial.
        runs: number of runs compared.
        means: mean of each metric over the runs; None if a run diverged or failed.
        in_search: metrics in the search, optimistic by selection.
    """

    trial_id: str
    runs: int
    means: Mapping[Metric, MeanEstimate] | None
    in_search: EpochMetrics


def reevaluation_summaries(search: StoredSearch) -> list[ReevaluationSummary]:
    """Return the re-evaluated configurations, best first."""
    return [_summarize(reevaluated) for reevaluated in search.reevaluated_trials]


def _summarize(reevaluated: ReevaluatedTrial) -> ReevaluationSummary:
    completed = reevaluated.all_completed
    return ReevaluationSummary(
        trial_id=reevaluated.record.trial_id,
        runs=len(reevaluated.runs),
        means={metric: _mean(reevaluated, metric) for metric in METRICS} if completed else None,
        in_search=reevaluated.record.epochs[-1],
    )


def _mean(reevaluated: ReevaluatedTrial, metric: Metric) -> MeanEstimate:
    values = reevaluated.values(metric)
    mean = statistics.fmean(values)
    interval = mean_confidence_interval(
        values, reevaluated.test_train_ratio, _scale(metric, values)
    )
    if interval is None:
        return MeanEstimate(mean, None)
    # Student's t is unbounded; a loss has a lower bound, a score two.
    upper = 1.0 if METRICS[metric].is_score else math.inf
    return MeanEstimate(mean, (max(0.0, interval[0]), min(upper, interval[1])))


def _scale(metric: Metric, values: Sequence[float]) -> float:
    """Return the size of a metric's values, to which rounding errors are relative."""
    return 1.0 if METRICS[metric].is_score else max(values)


def reevaluation_frame(search: StoredSearch) -> pd.DataFrame:
    """Return a row per re-evaluated configuration, best first; NaN where undefined.

    Columns: trial_id, runs, and val_loss, val_loss_low, val_loss_high, the same of the other
    metrics of the validation split.
    """
    import pandas as pd

    columns = ("trial_id", "runs", *itertools.chain.from_iterable(_INTERVAL_COLUMNS.values()))
    found = []
    for trial in reevaluation_summaries(search):
        row: dict[str, float | str] = {"trial_id": trial.trial_id, "runs": trial.runs}
        for metric, mean in (trial.means or {}).items():
            values = (mean.value, *(mean.interval or (math.nan, math.nan)))
            row |= dict(zip(_INTERVAL_COLUMNS[metric], values, strict=True))
        found.append(row)
    return pd.DataFrame(found, columns=list(columns))


def verdict(search: StoredSearch) -> str:
    """Say whether the best is distinguishable from the runner-up; "" with nothing to compare."""
    best = [trial for trial in search.reevaluated_trials if trial.all_completed][:2]
    if not best:
        return ""
    first = _summarize(best[0])
    assert first.means is not None  # all runs completed
    objective = search.config.objective
    score, loss = first.means[objective.score].value, first.means["val_loss"].value
    text = (
        f"Re-evaluated {_describe_runs(best[0])}, trial {first.trial_id} has a mean "
        f"{objective.score_label} of {score:.2%} and loss of {loss:.4f}"
    )
    if len(best) < 2:
        return f"{text}."
    return f"{text}. {_difference(best[0], best[1], objective)}"


def _describe_runs(reevaluated: ReevaluatedTrial) -> str:
    runs = reevaluated.common_runs
    seeds = len({run.seed for run in runs})
    text = f"with {seeds} fresh seeds" if seeds > 1 else "with a fresh seed"
    if not runs[0].folds:
        return text
    used = len({run.fold for run in runs})
    total = f" of {runs[0].folds}" if used < runs[0].folds else ""
    return f"{text} on {used}{total} folds"


def _difference(first: ReevaluatedTrial, second: ReevaluatedTrial, objective: Objective) -> str:
    """Compare two trials run by run: both had the same seeds and images."""
    metric = objective.metric
    values, others = first.values(metric), second.values(metric)
    differences = [a - b for a, b in zip(values, others, strict=True)]
    name = f"trial {second.record.trial_id}"
    indistinguishable = f"It is statistically indistinguishable from the runner-up, {name}"
    if len(differences) < 2:
        return f"{indistinguishable}, with one run each."
    scale = _scale(metric, [*values, *others])
    if max(map(abs, differences)) <= ROUNDING * scale:
        return f"{indistinguishable}: {metric} is the same in every run."
    mean = statistics.fmean(differences)
    interval = mean_confidence_interval(differences, first.test_train_ratio, scale)
    shown = [mean, *(interval or ())]
    # Differences of tiny losses would be shown as 0.0000.
    digits = ".4f" if max(map(abs, shown)) >= 5e-4 else ".2g"
    by, *ends = (f"{value:+{digits}}" for value in shown)
    text = f"{metric} differs by {by}"
    if interval is None:
        return (
            f"Compared with the runner-up, {name}, {text} in every run, so that no interval can be "
            "stated."
        )
    text = f"{text}, 95 % confidence interval {' to '.join(ends)}"
    if interval[0] <= 0 <= interval[1]:
        return f"{indistinguishable}: {text}."
    return f"It is significantly better than the runner-up, {name}: {text}."


def table_columns(objective: Objective) -> tuple[str, ...]:
    """Return the headings of `table_rows`."""
    metrics = ("val_loss", "95 % CI", objective.score, "95 % CI ")
    return ("rank", "trial", "runs", *metrics, "in the search")


def table_rows(search: StoredSearch) -> list[list[str]]:
    """Return the cells of each re-evaluated configuration."""
    summaries, objective = reevaluation_summaries(search), search.config.objective
    return [_row(rank, trial, objective) for rank, trial in enumerate(summaries, 1)]


def _row(rank: int, trial: ReevaluationSummary, objective: Objective) -> list[str]:
    start = [str(rank), trial.trial_id, str(trial.runs)]
    in_search = f"{trial.in_search.val_loss:.4f}, {objective.score_of(trial.in_search):.2%}"
    if trial.means is None:
        return [*start, "a run has no result", "", "", "", in_search]
    loss, score = trial.means["val_loss"], trial.means[objective.score]
    return [
        *start,
        *(f"{loss.value:.4f}", interval_cell(loss.interval, ".4f")),
        *(f"{score.value:.2%}", interval_cell(score.interval)),
        in_search,
    ]


def missing_best_warning(search: StoredSearch, program_name: str | None = None) -> str:
    """Return a warning where the best of the leaderboard was not re-evaluated, else "".

    Args:
        search: a search.
        program_name: name of the program in the command; None: as it was invoked.
    """
    reevaluated_ids = {reevaluated.record.trial_id for reevaluated in search.reevaluated_trials}
    best = search.best
    if not reevaluated_ids or best is None or best.trial_id in reevaluated_ids:
        return ""
    command = search.paths.command(
        "reevaluate", *search.paths.trust_options, program_name=program_name
    )
    return (
        f"Trial {best.trial_id}, the best of the leaderboard, was not re-evaluated with the "
        f"others. To do so: {command}"
    )
