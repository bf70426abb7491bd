"""Recorded learning curves, as `curves.py` writes them, and what they say of a search."""

from __future__ import annotations

import math
import statistics
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from harness import REPOSITORY

from handsigns.config.hyperparameters import Scalar
from handsigns.config.load import load_search_config
from handsigns.config.search import SearchConfig
from handsigns.config.space import Space
from handsigns.policy.learning_curves import LearningCurve, LearningCurveModel, RecordedCurve

SHARES = (0.10, 0.03, 0.01)
"""Shares of the configurations that define the targets."""
DIVERGED_LOSS = 10.0
"""Loss in nats that stands for the rest of a training that diverged."""


def read_curves(path: Path, space: Space) -> tuple[list[RecordedCurve], float]:
    """Read the curves of a space, and the noise between seeds.

    Args:
        path: table with a row for each epoch: ``config``, ``seed``, ``epoch``, ``val_loss``,
            ``val_accuracy``, ``seconds``, and a column for each hyperparameter.
        space: search space of the configurations.

    Returns:
        The curves of each configuration's first seed, and the standard deviation of the logarithm
        of the final loss between seeds; NaN if no configuration was trained twice.
    """
    table = pd.read_parquet(path)
    num_epochs = int(table["epoch"].max())
    first = table[table["seed"] == 0]
    curves = [_curve(rows, space, num_epochs) for _, rows in first.groupby("config")]
    final = table[table["epoch"] == num_epochs].assign(log=lambda rows: np.log(rows["val_loss"]))
    variances = final.groupby("config")["log"].var().dropna()
    return curves, float(np.sqrt(variances.mean())) if len(variances) else float("nan")


def _curve(rows: pd.DataFrame, space: Space, num_epochs: int) -> RecordedCurve:
    params = {name: _scalar(rows.iloc[0][name]) for name in space if name in rows}
    loss = np.full(num_epochs, DIVERGED_LOSS)
    accuracy = np.full(num_epochs, 0.0)
    loss[: len(rows)] = rows["val_loss"].fillna(DIVERGED_LOSS)
    accuracy[: len(rows)] = rows["val_accuracy"].fillna(0.0)
    seconds = float(rows["seconds"].median())
    return RecordedCurve(params, LearningCurve(loss, accuracy, seconds))


def _scalar(value: Any) -> Scalar:
    """Return a value of a table as a Python scalar; a whole number is one of an integer column."""
    if isinstance(value, np.generic):
        value = value.item()
    return int(value) if isinstance(value, float) and value.is_integer() else value


@cache
def load_model(path: Path) -> LearningCurveModel:
    """Return the model of recorded curves, with the noise that repeated trainings show."""
    space = load_search_config(space_path(path)).space
    return LearningCurveModel(space, *read_curves(path, space))


def space_path(curves: Path) -> Path:
    """Return the search space of recorded curves."""
    return REPOSITORY / "search_spaces" / f"{curves.stem.split('-')[1]}.yaml"


def timed_config(curves: Path, seed: int, seconds: float) -> SearchConfig:
    """Return the configuration of a search on recorded curves that only its time ends."""
    config = load_search_config(space_path(curves))
    budget = {"trials": 10**6, "time_budget": seconds, "patience": None}
    return config.model_copy(
        update={"seed": seed, "budget": config.budget.model_copy(update=budget)}
    )


@cache
def final_losses(path: Path) -> list[float]:
    """Return the expected final losses of the recorded configurations, ascending."""
    model = load_model(path)
    return sorted(float(model.predict(trial.params).loss[-1]) for trial in model.recorded)


@cache
def full_training_seconds(path: Path) -> float:
    """Return the median seconds of a full training."""
    model = load_model(path)
    seconds = [trial.curve.epoch_seconds for trial in model.recorded]
    return statistics.median(seconds) * model.num_epochs


@cache
def target_losses(path: Path) -> tuple[float, ...]:
    """Return the losses that the shares of configurations reach at their end."""
    losses = sorted(trial.curve.loss[-1] for trial in load_model(path).recorded)
    return tuple(float(losses[math.ceil(share * len(losses)) - 1]) for share in SHARES)


@cache
def oracle_times(path: Path) -> tuple[float, ...]:
    """Return the shortest full training that ends at a target, in median full trainings."""
    unit = full_training_seconds(path)
    curves = [trial.curve for trial in load_model(path).recorded]
    return tuple(
        min(len(c.loss) * c.epoch_seconds / unit for c in curves if c.loss[-1] <= target)
        for target in target_losses(path)
    )
