"""Running a trial again, to see that it gives what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch

from handsigns.config.search import StudyConfig
from handsigns.config.user_code import OwnCode
from handsigns.data.dataset import DataSet
from handsigns.data.folds import training_splits
from handsigns.metrics import EpochMetrics
from handsigns.results.trial import TrialRecord
from handsigns.training.device import pick_device
from handsigns.training.train import DivergedError, TrainingPlan, fit, start

_TIMINGS = ("epoch_seconds",)


class ReplayError(Exception):
    """A replay that came to another end than the record."""


@dataclass(frozen=True)
class ReplayedEpoch:
    """An epoch trained again; `differences` has (recorded, replayed) by metric, none if equal."""

    metrics: EpochMetrics
    differences: dict[str, tuple[float, float]]


def replay(
    study: StudyConfig, data: DataSet, record: TrialRecord, own: OwnCode | None = None
) -> Iterator[ReplayedEpoch]:
    """Train the record's configuration again for as many epochs, comparing each.

    Args:
        own: the user's own code that the trial ran.

    Raises:
        ReplayError: it diverges where the record does not, or does not where the record does.
    """
    placement = record.placement
    on_cpu = placement is not None and placement.device == "cpu"
    torch.set_num_threads(placement.threads if placement else 1)
    plan = TrainingPlan(
        config=record.config,
        classes=len(data.info.classes),
        size=data.info.size,
        max_epochs=study.budget.max_epochs,
        seed=record.seed,
        device=pick_device(0 if on_cpu else None),
        own=own,
    )
    again = fit(start(plan), *training_splits(record.fold, data.train, data.val))
    try:
        for recorded in record.epochs:
            metrics = next(again)
            yield ReplayedEpoch(metrics, compare(recorded, metrics))
    except DivergedError as error:
        raise ReplayError(f"it diverged, as the record does not: {error}") from error
    if record.status == "diverged":
        _diverge(again)


def _diverge(again: Iterator[EpochMetrics]) -> None:
    try:
        metrics = next(again)
    except DivergedError:
        return
    raise ReplayError(f"it did not diverge in epoch {metrics.epoch}, where the record did")


def compare(recorded: EpochMetrics, replayed: EpochMetrics) -> dict[str, tuple[float, float]]:
    """The metrics in which two epochs differ, timings aside."""
    before, after = asdict(recorded), asdict(replayed)
    return {
        name: (before[name], after[name])
        for name in before
        if name not in _TIMINGS and before[name] != after[name]
    }
