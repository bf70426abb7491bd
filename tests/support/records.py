"""Factories of search configurations, trial specs, metrics and trial records."""

from __future__ import annotations

from collections.abc import Sequence

from handsigns.config.hyperparameters import TrialConfig, trial_seed
from handsigns.config.search import SearchConfig
from handsigns.config.validate import validate_search_config
from handsigns.metrics import EpochMetrics
from handsigns.results.trial import Placement, Status, TrialRecord, TrialSpec

SPACE = {
    "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1},
    "dropout": {"type": "uniform", "low": 0.0, "high": 0.5},
    "batch_size": {"type": "choice", "values": [8, 16]},
}


def make_search_config(space=SPACE, **sections) -> SearchConfig:
    """Return a search configuration with these sections; the default space is continuous."""
    config, problems = validate_search_config({"space": space, **sections})
    assert config is not None, problems
    return config


def make_spec(trial_id: str, params=None, *, config=None, seed=None, search_seed=1) -> TrialSpec:
    """Return the specification of a trial as a sampler suggests it."""
    params = params or {"learning_rate": 1e-3}
    config = config or TrialConfig.from_params(params)
    return TrialSpec(trial_id, params, config, seed or trial_seed(search_seed, config))


def make_epoch_metrics(epoch: int, val_loss: float, val_accuracy: float = 0.5) -> EpochMetrics:
    """Return an epoch's metrics with this validation loss."""
    return EpochMetrics(
        epoch, 0.7, 0.6, val_loss, val_accuracy, val_accuracy, 1e-3, 1.0,
        val_balanced_accuracy=val_accuracy / 2, val_macro_f1=val_accuracy / 4,
    )  # fmt: skip


def make_record(
    trial_id: str,
    losses: Sequence[float] = (0.5,),
    status: Status = "completed",
    accuracy: float = 0.5,
    params=None,
    error: str = "",
) -> TrialRecord:
    """Return a trial with these validation losses, one per epoch."""
    params = params or {"learning_rate": 1e-3}
    return TrialRecord(
        trial_id=trial_id,
        config=TrialConfig.from_params(params),
        params=params,
        seed=1,
        status=status,
        epochs=tuple(make_epoch_metrics(i, loss, accuracy) for i, loss in enumerate(losses, 1)),
        placement=Placement("laptop/1", "cpu", 1),
        error=error,
        started_at=1e9,
        ended_at=None if status == "running" else 1e9 + 60,
    )
