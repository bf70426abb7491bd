"""Replay of a trial, to verify that it reproduces its record."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass

import torch

from handsigns.config.search import SearchConfig
from handsigns.config.user_code import UserCode
from handsigns.data.dataset import DataSet
from handsigns.data.folds import training_splits
from handsigns.metrics import EpochMetrics
from handsigns.results.trial import TrialRecord
from handsigns.training.device import describe_device, local_torch_state, pick_device
from handsigns.training.state import TrainingPlan, init_state
from handsigns.training.train import DivergedError, train_epochs

_TIMING_METRICS = ("epoch_seconds",)


class ReplayError(Exception):
    """Replay whose outcome differs from the record."""


@dataclass(frozen=True)
class ReplayedEpoch:
    """Replayed epoch; `differences` has (recorded, replayed) by metric, empty if identical."""

    metrics: EpochMetrics
    differences: dict[str, tuple[float, float]]


def replay(
    search_config: SearchConfig,
    data: DataSet,
    record: TrialRecord,
    user_code: UserCode | None = None,
) -> Generator[ReplayedEpoch, None, None]:
    """Retrain the record's configuration for its number of epochs, comparing each.

    Args:
        user_code: the user code that the trial ran.

    Raises:
        ReplayError: only one of replay and record diverges.
    """
    if not record.epochs and record.status != "diverged":
        return  # nothing to compare, and its network may be what failed
    device = _pick_device(record)
    plan = TrainingPlan(
        config=record.config,
        num_classes=len(data.info.classes),
        image_size=data.info.size,
        max_epochs=search_config.budget.max_epochs,
        seed=record.seed,
        device=device,
        user_code=user_code,
    )
    splits = training_splits(record.fold, data.train, data.val)
    threads = record.placement.threads if record.placement else 1
    with local_torch_state(threads, device):
        replayed_epochs = train_epochs(init_state(plan), *splits)
        try:
            for recorded in record.epochs:
                metrics = next(replayed_epochs)
                yield ReplayedEpoch(metrics, metric_differences(recorded, metrics))
        except DivergedError as error:
            raise ReplayError(f"the replay diverged, unlike the record: {error}") from error
        if record.status == "diverged":
            _expect_divergence(replayed_epochs)


def replay_device(record: TrialRecord) -> str:
    """Return the device on which a trial would be replayed, as in `Placement.device`."""
    return describe_device(_pick_device(record))


def _pick_device(record: TrialRecord) -> torch.device:
    on_cpu = record.placement is not None and record.placement.device == "cpu"
    return pick_device(0 if on_cpu else None)


def _expect_divergence(replayed_epochs: Iterator[EpochMetrics]) -> None:
    try:
        metrics = next(replayed_epochs)
    except DivergedError:
        return
    raise ReplayError(f"the replay did not diverge in epoch {metrics.epoch}, unlike the record")


def metric_differences(
    recorded: EpochMetrics, replayed: EpochMetrics
) -> dict[str, tuple[float, float]]:
    """Return the metrics in which two epochs differ, except timings and those not recorded."""
    before, after = asdict(recorded), asdict(replayed)
    return {
        name: (before[name], after[name])
        for name in before
        if name not in _TIMING_METRICS
        and not math.isnan(before[name])
        and before[name] != after[name]
    }
