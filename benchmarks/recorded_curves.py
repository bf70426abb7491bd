"""Learning curves read from a Parquet table, as `benchmarks/curves.py` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from handsigns.config.hyperparameters import Scalar
from handsigns.config.space import Space
from handsigns.policy.learning_curves import LearningCurve, RecordedCurve

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
