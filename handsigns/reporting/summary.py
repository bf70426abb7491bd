"""The answer of a search in words: the winner, how sure that is, its cost, and what to do next."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from handsigns.console.format import (
    format_duration,
    percent,
    percent_interval,
    value_text,
)
from handsigns.reporting import reevaluation as finals
from handsigns.reporting.winner import Winner
from handsigns.results.statistics import (
    Savings,
    Score,
    baseline,
    runner_up,
    savings,
    score,
    within_noise,
)
from handsigns.results.store import StoredSearch
from handsigns.results.timeline import Timeline
from handsigns.results.trial import TrialRecord
from handsigns.stats.intervals import mean_interval

_VISIBLE_POINTS = 0.05
"""Of accuracy; less is not told in points."""


@dataclass(frozen=True)
class Card:
    """A key figure: what it is, its value, and what must be known beside it."""

    label: str
    value: str
    note: str
    main: bool = False


def seeds_text(accuracies: Sequence[float]) -> str:
    """Test accuracies by seed, with their mean and its interval over the seeds."""
    each = ", ".join(map(percent, accuracies))
    if len(accuracies) < 2:
        return each
    text = f"{each}; mean {percent(statistics.fmean(accuracies))}"
    interval = mean_interval(accuracies)
    if interval is None:
        return text
    low, high = max(0.0, interval[0]), min(1.0, interval[1])
    return f"{text}, 95 % interval over seeds {percent_interval((low, high))}"


def interval_text(interval: tuple[float, float]) -> str:
    """In words."""
    return f"95 % interval {percent_interval(interval)}"


def cards(search: StoredSearch, known: Winner, timeline: Timeline) -> list[Card]:
    """The key figures, the most telling first."""
    winner = search.winner
    won = score(search, winner) if winner else None
    spent = savings(search.journal.records, search.study.budget.max_epochs)
    found: list[Card] = []
    if known.test is not None:
        found.append(
            Card(
                "Test accuracy",
                percent(known.test.accuracy),
                f"{known.test.correct}/{known.test.total} correct, "
                f"{interval_text(known.test.interval)}",
                main=True,
            )
        )
    again = finals.measured(search)
    if again and again[0].accuracy is not None:
        found.append(_again(again[0], again[0].accuracy, main=known.test is None))
    elif won is not None:
        found.append(_validation(won, main=known.test is None))
    found.append(_time(search, timeline))
    found.append(_epochs(spent))
    return found


def _validation(won: Score, *, main: bool) -> Card:
    interval = f"{interval_text(won.interval)}; " if won.interval else ""
    note = f"{interval}optimistic, as the best trial is chosen by it"
    return Card("Validation accuracy", percent(won.accuracy), note, main)


def _again(first: finals.Measured, accuracy: finals.Mean, *, main: bool) -> Card:
    span = f"{interval_text(accuracy.interval)}; " if accuracy.interval else ""
    note = (
        f"{span}mean of {first.runs} fresh runs; in the search, which chose by it, "
        f"{percent(first.accuracy_in_search)}"
    )
    return Card("Validation accuracy", percent(accuracy.value), note, main)


def _time(search: StoredSearch, timeline: Timeline) -> Card:
    records = search.journal.records
    counts = Counter(record.status for record in records)
    listed = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    busy = f"; slots busy {timeline.utilisation:.0%}" if timeline.slots else ""
    note = f"{len(records)} trials: {listed or 'none yet'}{busy}"
    return Card("Time", format_duration(round(search.journal.elapsed)), note)


def _epochs(spent: Savings) -> Card:
    note = "none could be saved: nothing was stopped early"
    if spent.saved:
        note = (
            f"early stopping saved {spent.saved}, {spent.share:.0%} of what all of them would take"
        )
    return Card("Epochs trained", str(spent.trained), note)


def comparisons(search: StoredSearch, *, final: bool) -> list[str]:
    """How the winner compares with the recommended recipe and with the runner-up.

    Args:
        final: the search has ended; else the best trial only leads so far.
    """
    winner = search.winner
    won = score(search, winner) if winner else None
    if winner is None or won is None:
        return []
    told = []
    recipe = baseline(search)
    if recipe is not None:
        told.append(_against_recipe(search, winner, won, recipe, final=final))
    again = finals.verdict(search)
    if again:
        return [*told, again]
    second = runner_up(search)
    other = score(search, second) if second else None
    if second is not None and other is not None:
        told.append(
            f"The runner-up, trial {second.trial_id}, reached {percent(other.accuracy)} "
            f"(validation loss {other.loss:.4f} against {won.loss:.4f})"
            + (
                "; that is within noise: on other images it might have been better."
                if within_noise(won, other)
                else "."
            )
        )
    return told


def _against_recipe(
    search: StoredSearch, winner: TrialRecord, won: Score, recipe: TrialRecord, *, final: bool
) -> str:
    first, so_far = ("winner", "") if final else ("leader", " so far")
    if recipe.trial_id == winner.trial_id:
        return (
            f"The {first} is the recommended recipe itself (trial 0000): nothing else did "
            f"better{so_far}."
        )
    then = score(search, recipe)
    if then is None:
        return f"The recommended recipe (trial 0000) has no result: it {recipe.status}."
    gain = 100 * (won.accuracy - then.accuracy)
    if abs(gain) < _VISIBLE_POINTS:
        return f"The recommended recipe (trial 0000) reached {percent(then.accuracy)} as well."
    points = f"{abs(gain):.1f} points {'more' if gain >= 0 else 'less'}"
    epochs = "" if then.epochs == won.epochs else f", after {then.epochs} epochs"
    noise = ", which is within noise" if within_noise(won, then) else ""
    return (
        f"The recommended recipe (trial 0000) reached {percent(then.accuracy)}{epochs}: the "
        f"{first} has {points}{noise}{so_far}."
    )


def params_text(search: StoredSearch, record: TrialRecord) -> str:
    """The hyperparameters that were searched, with the trial's values."""
    varied = [name for name in search.study.space.varied if name in record.params]
    return ", ".join(f"{name} {value_text(record.params[name])}" for name in varied)
