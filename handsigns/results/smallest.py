"""Choice of the smallest network whose validation score is within a margin of the winner's.

The rule: among the re-evaluated trials, or the winner and all completed ones, the trial
with the fewest parameters of those whose mean score is at most the margin below the winner's. The
score is the objective if that is one, else accuracy. Of networks of one size the winner is kept.
The 95 % confidence interval of the difference says how certain that is. It is no condition: from
few runs it is so wide that hardly any network would be distinguishably worse.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from handsigns.metrics import SCORE_TOLERANCE
from handsigns.results.reevaluation import ReevaluatedTrial
from handsigns.results.statistics import num_val_images
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord
from handsigns.stats.intervals import difference_interval, mean_confidence_interval

Interval = tuple[float, float]
Comparison = tuple[float, Interval | None, int]
"""Difference to the winner, its interval, and the number of paired runs."""


@dataclass(frozen=True)
class SmallestChoice:
    """Trial chosen for its size.

    Attributes:
        record: the trial.
        winner_id: ID of the winner it is compared with.
        parameters, winner_parameters: numbers of parameters of the two.
        label: name of the score.
        margin: score that it may be worse, in [0, 1].
        difference: mean score of the winner less its own.
        interval: 95 % confidence interval of the difference; None if it cannot be estimated.
        runs: number of runs compared in pairs; 0 if single runs are compared.
    """

    record: TrialRecord
    winner_id: str
    parameters: int
    winner_parameters: int
    label: str
    margin: float
    difference: float
    interval: Interval | None
    runs: int

    def describe(self) -> str:
        """Return the choice and its certainty as a sentence."""
        trial, winner = f"trial {self.record.trial_id}", f"trial {self.winner_id}"
        if self.record.trial_id == self.winner_id:
            return (
                f"no network is smaller than the winner's, {winner} with {self.parameters:,} "
                f"parameters, and within {100 * self.margin:g} percentage points of its "
                f"{self.label}"
            )
        basis = f"{self.runs} paired runs" if self.runs else "a single run each"
        text = (
            f"{trial} with {self.parameters:,} parameters in place of the winner, {winner}, with "
            f"{self.winner_parameters:,}: its {self.label} differs by "
            f"{-100 * self.difference:+.2f} percentage points in {basis}"
        )
        if self.interval is None:
            return text
        worst, best = (-100 * end for end in reversed(self.interval))
        verdict = "distinguishably worse" if best < 0 else "not distinguishably worse"
        if worst < -100 * self.margin:
            verdict += ", but perhaps by more than the margin"
        return f"{text} (95 % CI {worst:+.2f} to {best:+.2f}), {verdict}"


def smallest_within(
    search: StoredSearch, margin: float, count_parameters: Callable[[TrialRecord], int]
) -> SmallestChoice:
    """Choose the smallest network within a margin of the winner's score.

    Args:
        search: the search.
        margin: score that the network may be worse, in [0, 1].
        count_parameters: returns the number of parameters of a trial.

    Raises:
        ResultsError: no trial has a result.
    """
    winner = search.trial(None)
    size, label = count_parameters(winner), search.config.objective.score_label
    choices = [
        SmallestChoice(
            record,
            winner.trial_id,
            count_parameters(record),
            size,
            label,
            margin,
            *comparison,
        )
        for record, comparison in _comparisons(search, winner)
    ]
    within = [choice for choice in choices if choice.difference <= margin + SCORE_TOLERANCE]
    return min(within, key=_rank)


def _rank(choice: SmallestChoice) -> tuple[int, bool, float]:
    """Return the key of the smallest, of equal ones the winner, else the best."""
    return choice.parameters, choice.record.trial_id != choice.winner_id, choice.difference


def _comparisons(
    search: StoredSearch, winner: TrialRecord
) -> Iterator[tuple[TrialRecord, Comparison]]:
    """Yield each trial with its comparison to the winner, which is one of them."""
    score = search.config.objective.score
    reevaluated = [trial for trial in search.reevaluated_trials if trial.all_completed]
    if reevaluated:
        for trial in reevaluated:
            yield trial.record, _paired(reevaluated[0], trial, score)
        return
    best = getattr(winner.epochs[-1], score)
    for record in search.journal.records:
        if record.trial_id == winner.trial_id or (record.status == "completed" and record.epochs):
            own = getattr(record.epochs[-1], score)
            num_val = min(num_val_images(search, winner), num_val_images(search, record))
            interval = None
            if num_val and score == "val_accuracy":  # others are no proportions of images
                correct = round(best * num_val), round(own * num_val)
                interval = difference_interval(*correct, num_val)
            yield record, (best - own, interval, 0)


def _paired(winner: ReevaluatedTrial, trial: ReevaluatedTrial, score: str) -> Comparison:
    pairs = zip(winner.values(score), trial.values(score), strict=True)
    differences = [a - b for a, b in pairs]
    interval = mean_confidence_interval(differences, winner.test_train_ratio)
    return statistics.fmean(differences), interval, len(differences)
