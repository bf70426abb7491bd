"""Summary of a search: key figures, and how the winner compares with others."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from handsigns.config.sections import Objective
from handsigns.console.format import (
    format_duration,
    format_value,
    percent,
    percent_interval,
)
from handsigns.data.imbalance import rare_classes
from handsigns.policy.stopping import describe_outlook
from handsigns.reporting import reevaluation as reevaluation
from handsigns.reporting.winner import WinnerSummary
from handsigns.results.savings import EarlyStoppingSavings, early_stopping_savings
from handsigns.results.statistics import (
    ValidationScore,
    baseline,
    runner_up,
    validation_score,
    within_noise,
)
from handsigns.results.store import StoredSearch
from handsigns.results.timeline import Timeline
from handsigns.results.trial import TrialRecord
from handsigns.stats.intervals import mean_confidence_interval

_MIN_REPORTED_POINTS = 0.05
"""Minimum difference of the score, in percentage points, that is reported."""


@dataclass(frozen=True)
class Card:
    """Key figure with its label and a note."""

    label: str
    value: str
    note: str
    main: bool = False


def seeds_text(accuracies: Sequence[float]) -> str:
    """Format test accuracies by seed, with their mean and its interval over the seeds."""
    listed = ", ".join(map(percent, accuracies))
    if len(accuracies) < 2:
        return listed
    text = f"{listed}; mean {percent(statistics.fmean(accuracies))}"
    interval = mean_confidence_interval(accuracies)
    if interval is None:
        return text
    low, high = max(0.0, interval[0]), min(1.0, interval[1])
    return f"{text}, 95 % confidence interval over seeds {percent_interval((low, high))}"


def interval_text(interval: tuple[float, float]) -> str:
    """Format a confidence interval."""
    return f"95 % CI {percent_interval(interval)}"


def cards(search: StoredSearch, winner_summary: WinnerSummary, timeline: Timeline) -> list[Card]:
    """Return the key figures, most important first."""
    winner = search.winner
    best_score = validation_score(search, winner) if winner else None
    savings = early_stopping_savings(search.journal.records, search.config.budget.max_epochs)
    test = winner_summary.test
    found: list[Card] = []
    if test is not None:
        note = f"{test.correct}/{test.total} correct, {interval_text(test.interval)}"
        if rare_classes(test.class_sizes):
            balanced, f1 = percent(test.balanced_accuracy), percent(test.macro_f1)
            note += f"; balanced accuracy {balanced}, macro F1 {f1}"
        found.append(Card("Test accuracy", percent(test.accuracy), note, main=True))
    reevaluated = reevaluation.reevaluation_summaries(search)
    objective = search.config.objective
    if reevaluated and reevaluated[0].means is not None:
        found.append(_reevaluation_card(reevaluated[0], objective, main=test is None))
    elif best_score is not None:
        found.append(_validation_card(best_score, objective, main=test is None))
    return [*found, _time_card(search, timeline), _epochs_card(savings)]


def _validation_card(best_score: ValidationScore, objective: Objective, *, main: bool) -> Card:
    interval = f"{interval_text(best_score.interval)}; " if best_score.interval else ""
    note = f"{interval}optimistic: the best trial was selected on these images"
    return Card(objective.score_label.capitalize(), percent(best_score.score), note, main)


def _reevaluation_card(
    first: reevaluation.ReevaluationSummary, objective: Objective, *, main: bool
) -> Card:
    assert first.means is not None
    mean = first.means[objective.score]
    interval = f"{interval_text(mean.interval)}; " if mean.interval else ""
    note = (
        f"{interval}mean of {first.runs} runs with fresh seeds; "
        f"{percent(objective.score_of(first.in_search))} in the search, by whose results it was "
        f"selected"
    )
    return Card(objective.score_label.capitalize(), percent(mean.value), note, main)


def _time_card(search: StoredSearch, timeline: Timeline) -> Card:
    records = search.journal.records
    counts = Counter(record.status for record in records)
    listed = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    busy = f"; worker utilisation {timeline.utilisation:.0%}" if timeline.slots else ""
    note = f"{len(records)} trials: {listed or 'none yet'}{busy}"
    return Card("Elapsed time", format_duration(round(search.journal.elapsed)), note)


def _epochs_card(savings: EarlyStoppingSavings) -> Card:
    note = "no trial was paused or stopped early"
    if savings.saved_epochs:
        note = f"early stopping saved {savings.saved_epochs} epochs ({savings.fraction:.0%})"
    return Card("Epochs trained", str(savings.trained_epochs), note)


def comparisons(search: StoredSearch, *, final: bool) -> list[str]:
    """Compare the winner with the recommended recipe and the runner-up.

    Args:
        search: a search.
        final: whether the search is finished; if not, the best trial only leads so far.
    """
    winner = search.winner
    best_score = validation_score(search, winner) if winner else None
    if winner is None or best_score is None:
        return []
    messages = []
    if final and (outlook := describe_outlook(search)):
        messages.append(f"If the search continued, {outlook}.")
    recipe = baseline(search)
    if recipe is not None:
        messages.append(_against_recipe(search, winner, best_score, recipe, final=final))
    verdict = reevaluation.verdict(search)
    if verdict:
        return [*messages, verdict]
    second = runner_up(search)
    second_score = validation_score(search, second) if second else None
    if second is not None and second_score is not None:
        messages.append(
            f"The runner-up, trial {second.trial_id}, reached {percent(second_score.score)} "
            f"(validation loss {second_score.loss:.4f} against {best_score.loss:.4f})"
            + (
                "; the difference is within noise."
                if within_noise(best_score, second_score)
                else "."
            )
        )
    return messages


def _against_recipe(
    search: StoredSearch,
    winner: TrialRecord,
    best_score: ValidationScore,
    recipe: TrialRecord,
    *,
    final: bool,
) -> str:
    role, so_far = ("winner", "") if final else ("leader", " so far")
    if recipe.trial_id == winner.trial_id:
        return (
            f"The {role} is the recommended recipe itself (trial {recipe.trial_id}): no other "
            f"trial did better{so_far}."
        )
    named = f"The recommended recipe (trial {recipe.trial_id})"
    recipe_score = validation_score(search, recipe)
    if recipe_score is None:
        return f"{named} has no result (status: {recipe.status})."
    reached = f"{named} reached {percent(recipe_score.score)}"
    gain = 100 * (best_score.score - recipe_score.score)
    if abs(gain) < _MIN_REPORTED_POINTS:
        return f"{reached}, the same as the {role}."
    same_epochs = recipe_score.epochs == best_score.epochs
    epochs = "" if same_epochs else f" after {recipe_score.epochs} epochs"
    points = f"{abs(gain):.1f} percentage points {'higher' if gain >= 0 else 'lower'}"
    noise = ", within noise" if within_noise(best_score, recipe_score) else ""
    return f"{reached}{epochs}; the {role} is {points}{noise}{so_far}."


def params_text(search: StoredSearch, record: TrialRecord) -> str:
    """Return the searched hyperparameters with a trial's values."""
    varied = [name for name in search.config.space.searched_names if name in record.params]
    return ", ".join(f"{name} {format_value(record.params[name])}" for name in varied)
