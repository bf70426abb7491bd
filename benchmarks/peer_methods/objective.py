"""What all methods share: the space, the training function, the log of epochs.

A method's processes append a line for each epoch to one log: the trial, the epoch, its validation
loss, its seconds, and the time. A search of ours writes such a journal by itself.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SIZE = 24
MAX_EPOCHS, GRACE_PERIOD, REDUCTION_FACTOR = 27, 3, 3
LEARNING_RATE = (1e-4, 1e-1)
DROPOUT = (0.0, 0.5)
BATCH_SIZES = (16, 32, 64)
CHANNEL_WIDTHS = (4, 8, 12, 16)

SPACE = f"""
space:
  learning_rate: {{type: log_uniform, low: {LEARNING_RATE[0]}, high: {LEARNING_RATE[1]}}}
  dropout: {{type: uniform, low: {DROPOUT[0]}, high: {DROPOUT[1]}}}
  batch_size: {{type: choice, values: {list(BATCH_SIZES)}}}
  channel_width: {{type: choice, values: {list(CHANNEL_WIDTHS)}}}
budget: {{trials: 10000, max_epochs: {MAX_EPOCHS}}}
scheduler: {{name: asha, grace_period: {GRACE_PERIOD}, reduction_factor: {REDUCTION_FACTOR}}}
"""
"""The same for `tune_main.py`; searcher and resources are its defaults."""

Params = dict[str, Any]


def draw(chance: random.Random) -> Params:
    """A random configuration."""
    return {
        "learning_rate": LEARNING_RATE[0]
        * (LEARNING_RATE[1] / LEARNING_RATE[0]) ** chance.random(),
        "dropout": chance.uniform(*DROPOUT),
        "batch_size": chance.choice(BATCH_SIZES),
        "channel_width": chance.choice(CHANNEL_WIDTHS),
    }


def train(params: Params, seed: int, data: str, log: str, trial: str) -> Iterator[Any]:
    """Train one configuration on one thread; yields (epoch, validation loss, state) as it goes."""
    import torch

    from handsigns.config.hyperparameters import TrialConfig, trial_seed
    from handsigns.data.dataset import open_data
    from handsigns.training.train import TrainingPlan, fit, start

    torch.set_num_threads(1)
    pictures = open_data(Path(data), size=SIZE)
    config = TrialConfig.from_params(params)
    classes = len(pictures.info.classes)
    device = torch.device("cpu")
    plan = TrainingPlan(config, classes, SIZE, MAX_EPOCHS, trial_seed(seed, config), device)
    state = start(plan)
    for metrics in fit(state, pictures.train, pictures.val):
        note(log, trial, metrics.epoch, metrics.val_loss, metrics.epoch_seconds)
        yield metrics.epoch, metrics.val_loss, state


def note(log: str, trial: str, epoch: int, val_loss: float, seconds: float) -> None:
    """Append an epoch to the log, whole, whatever other processes write."""
    metrics = {"epoch": epoch, "val_loss": val_loss, "epoch_seconds": seconds}
    event = {"event": "epoch", "trial_id": trial, "metrics": metrics, "time": time.time()}
    descriptor = os.open(log, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    try:
        os.write(descriptor, (json.dumps(event) + "\n").encode())
    finally:
        os.close(descriptor)
