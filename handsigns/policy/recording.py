"""Recorded learning curves of a search, completed where early stopping cut them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from handsigns.config.parameters import Choice, Fixed, Parameter
from handsigns.config.search import SearchConfig
from handsigns.config.sections import Objective
from handsigns.policy.curve_completion import Array, complete_curve, leave_one_out_error
from handsigns.policy.learning_curves import (
    MAX_CLIP,
    LearningCurve,
    RecordedCurve,
    inverse_logit,
    log_loss,
    logit,
)
from handsigns.results.trial import TrialRecord, rank_key

MIN_TRIALS = 20
"""Number of trials from which learning curves can be modelled."""
MIN_COMPLETED = 4
"""Number of them that must have been trained to the end, so that the others can be completed."""

_MAX_TRIALS = 500
"""Number of trials that are read: more take minutes to complete, and tell little more."""


@dataclass(frozen=True)
class Recording:
    """Learning curves of the trials of a search.

    Attributes:
        curves: a curve of the full length for each trial that was completed, stopped or paused,
            and for each that diverged: the poorest of the others.
        num_completed: number of these trials that were trained to the end.
        best_completed: best objective value after the last epoch of any completed trial; NaN if
            there is none.
        completion_error: leave-one-out error of the last value of a completed trial, cut where
            others were: of the logarithm of its loss, or of the logit of its score; None if none
            was cut.
        clip: distance from 0 and 1 to which scores were clipped.
    """

    curves: tuple[RecordedCurve, ...]
    num_completed: int
    best_completed: float
    completion_error: float | None
    clip: float = MAX_CLIP

    @property
    def is_sufficient(self) -> bool:
        """Whether the curves can be modelled."""
        return len(self.curves) >= MIN_TRIALS and self.num_completed >= MIN_COMPLETED


def read_recording(
    records: Sequence[TrialRecord],
    num_epochs: int,
    objective: Objective,
    clip: float = MAX_CLIP,
) -> Recording:
    """Return the learning curves of the first `_MAX_TRIALS` trials; none if none was completed.

    Args:
        records: trials of a search.
        num_epochs: number of epochs of a full curve.
        objective: objective of the search.
        clip: see `clip_distance`.
    """
    completed = [record for record in records if record.status == "completed"]
    read = recorded_trials(records)[:_MAX_TRIALS]
    num_completed = sum(record.status == "completed" for record in read)
    if not num_completed:
        return Recording((), 0, math.nan, None)
    diverged = [record for record in read if record.status == "diverged"]
    ended = [record for record in read if record.status != "diverged"]
    losses = [log_loss(np.array([e.val_loss for e in record.epochs])) for record in ended]
    # Logits of the error, so that lower is better.
    scores = [np.array([objective.score_of(e) for e in record.epochs]) for record in ended]
    errors = [-logit(score, clip) for score in scores]
    full_losses = _complete(losses, num_epochs)
    full_errors = _complete(errors, num_epochs)
    seconds = [float(np.median([e.epoch_seconds for e in record.epochs])) for record in ended]
    curves = [
        RecordedCurve(record.params, _to_curve(loss, error, second, clip))
        for record, loss, error, second in zip(
            ended, full_losses, full_errors, seconds, strict=True
        )
    ]
    poorest = _to_curve(
        np.max(full_losses, axis=0), np.max(full_errors, axis=0), float(np.median(seconds)), clip
    )
    curves += [RecordedCurve(record.params, poorest) for record in diverged]
    best = min(completed, key=lambda record: rank_key(record, objective)).epochs[-1]
    return Recording(
        tuple(curves),
        num_completed,
        objective.value_of(best),
        leave_one_out_error(errors if objective.is_score else losses, num_epochs),
        clip,
    )


def recorded_trials(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that tell something: those that ended or paused, but for failed ones."""
    return [
        record
        for record in records
        if record.status == "diverged"
        or (record.epochs and record.status in ("completed", "stopped", "paused"))
    ]


def _complete(curves: Sequence[Array], num_epochs: int) -> list[Array]:
    return [
        complete_curve(curve, [*curves[:index], *curves[index + 1 :]], num_epochs)
        for index, curve in enumerate(curves)
    ]


def _to_curve(loss: Array, error: Array, epoch_seconds: float, clip: float) -> LearningCurve:
    return LearningCurve(np.exp(loss), inverse_logit(-error, clip), epoch_seconds)


def differences(planned: SearchConfig, recorded: SearchConfig) -> list[str]:
    """Return what a planned search does that recorded curves say nothing about."""
    found = []
    for name in dict.fromkeys([*planned.space, *recorded.space]):
        if name not in recorded.space:
            found.append(f"{name} is not in the recorded space")
        elif name not in planned.space:
            found.append(f"{name} is in the recorded space only")
        elif not _covers(recorded.space[name], planned.space[name]):
            found.append(f"{name} has other values or conditions than in the recorded space")
    for what, new, old in (
        ("max_epochs", planned.budget.max_epochs, recorded.budget.max_epochs),
        ("the objective", planned.objective.metric, recorded.objective.metric),
    ):
        if new != old:
            found.append(f"{what} is {new}, not {old}")
    for what in recorded.limits.enabled:
        limit, recorded_limit = getattr(planned.limits, what), getattr(recorded.limits, what)
        if limit is None or limit > recorded_limit:
            found.append(f"limits.{what} is above that of the recorded space, {recorded_limit:g}")
    return found


def _covers(recorded: Parameter, planned: Parameter) -> bool:
    """Return whether every value of a planned parameter is one of the recorded parameter."""
    if planned.when != recorded.when:
        return False
    if isinstance(recorded, (Fixed, Choice)):
        listed = planned.values()
        return listed is not None and all(value in recorded.values() for value in listed)
    if isinstance(planned, (Fixed, Choice)):
        numbers = [v for v in planned.values() if isinstance(v, (int, float))]
        return len(numbers) == len(planned.values()) and all(
            recorded.low <= number <= recorded.high for number in numbers
        )
    return recorded.low <= planned.low and planned.high <= recorded.high
