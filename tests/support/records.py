"""Searches from their sections, and scripted trials."""

from __future__ import annotations

from collections.abc import Sequence

from handsigns.config.hyperparameters import TrialConfig, trial_seed
from handsigns.config.search import StudyConfig
from handsigns.config.validate import check_study
from handsigns.metrics import EpochMetrics
from handsigns.results.trial import Placement, Status, TrialRecord, TrialSpec

SPACE = {
    "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1},
    "dropout": {"type": "uniform", "low": 0.0, "high": 0.5},
    "batch_size": {"type": "choice", "values": [8, 16]},
}


def make_study(space=SPACE, **sections) -> StudyConfig:
    """A search from its sections; the space is continuous unless one is given."""
    study, problems = check_study({"space": space, **sections})
    assert study is not None, problems
    return study


def make_spec(trial_id: str, params=None, *, config=None, seed=None, study_seed=1) -> TrialSpec:
    """A trial as a sampler suggests it."""
    params = params or {"learning_rate": 1e-3}
    config = config or TrialConfig.from_params(params)
    return TrialSpec(trial_id, params, config, seed or trial_seed(study_seed, config))


def epoch_of(epoch: int, val_loss: float, val_accuracy: float = 0.5) -> EpochMetrics:
    """An epoch's metrics with the given validation loss."""
    return EpochMetrics(epoch, 0.7, 0.6, val_loss, val_accuracy, val_accuracy, 1e-3, 1.0)


def make_record(
    trial_id: str,
    losses: Sequence[float] = (0.5,),
    status: Status = "completed",
    accuracy: float = 0.5,
    params=None,
) -> TrialRecord:
    """A trial that ended with these validation losses, an epoch each."""
    params = params or {"learning_rate": 1e-3}
    return TrialRecord(
        trial_id=trial_id,
        config=TrialConfig.from_params(params),
        params=params,
        seed=1,
        status=status,
        epochs=tuple(epoch_of(i, loss, accuracy) for i, loss in enumerate(losses, 1)),
        placement=Placement("laptop/1", "cpu", 1),
        error="",
        started_at=1e9,
        ended_at=None if status == "running" else 1e9 + 60,
    )
