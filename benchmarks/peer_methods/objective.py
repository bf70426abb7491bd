"""Shared parts of all methods: the search space, the training function, the log of epochs.

A method's processes append a line per epoch to one log: the trial, the epoch, its validation loss,
its duration, and the time. The journal of a handsigns search has the same format.
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
NUM_WORKERS = 2
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
"""
"""The same space as a search.yaml for handsigns, with its defaults for all else."""

Params = dict[str, Any]


def sample_config(rng: random.Random) -> Params:
    """Sample a random configuration."""
    return {
        "learning_rate": LEARNING_RATE[0] * (LEARNING_RATE[1] / LEARNING_RATE[0]) ** rng.random(),
        "dropout": rng.uniform(*DROPOUT),
        "batch_size": rng.choice(BATCH_SIZES),
        "channel_width": rng.choice(CHANNEL_WIDTHS),
    }


def train(
    params: Params, seed: int, data: str, log: str, trial: str, threads: int = 1
) -> Iterator[Any]:
    """Train one configuration; yield (epoch, validation loss, state)."""
    import torch

    from handsigns.config.hyperparameters import TrialConfig, trial_seed
    from handsigns.data.dataset import open_data
    from handsigns.training.state import TrainingPlan, init_state
    from handsigns.training.train import train_epochs

    torch.set_num_threads(threads)
    data_set = open_data(Path(data), size=SIZE)
    config = TrialConfig.from_params(params)
    classes = len(data_set.info.classes)
    device = torch.device("cpu")
    plan = TrainingPlan(config, classes, SIZE, MAX_EPOCHS, trial_seed(seed, config), device)
    state = init_state(plan)
    for metrics in train_epochs(state, data_set.train, data_set.val):
        log_epoch(log, trial, metrics.epoch, metrics.val_loss, metrics.epoch_seconds)
        yield metrics.epoch, metrics.val_loss, state


def log_epoch(
    log: str, trial: str, epoch: int, val_loss: float, seconds: float, **more: float
) -> None:
    """Append an epoch to the log atomically, as other processes append to it, too."""
    metrics = {"epoch": epoch, "val_loss": val_loss, "epoch_seconds": seconds, **more}
    event = {"event": "epoch", "trial_id": trial, "metrics": metrics, "time": time.time()}
    descriptor = os.open(log, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    try:
        os.write(descriptor, (json.dumps(event) + "\n").encode())
    finally:
        os.close(descriptor)
