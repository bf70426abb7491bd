"""Ray Tune as in PyTorch's tutorial: random search, ASHA, a checkpoint after each epoch.

python ray_tutorial.py DATA LOG SEED
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import ray
from objective import BATCH_SIZES, CHANNEL_WIDTHS, DROPOUT, LEARNING_RATE, MAX_EPOCHS, train
from ray import tune
from ray.tune.schedulers import ASHAScheduler


def train_trial(config: dict[str, Any], data: str, log: str, seed: int) -> None:
    """Train as in the tutorial: write and report a checkpoint after each epoch."""
    import torch

    trial = tune.get_context().get_trial_id()
    for _, loss, state in train(config, seed, data, log, trial):
        content = {
            "net": state.model.state_dict(),
            "optimizer": state.optimizer.state_dict(),
        }
        with tempfile.TemporaryDirectory() as folder:
            torch.save(content, Path(folder) / "data.pt")
            tune.report({"loss": loss}, checkpoint=tune.Checkpoint.from_directory(folder))


if __name__ == "__main__":
    data, log, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
    ray.init("local")
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(train_trial, data=data, log=log, seed=seed), {"cpu": 1, "gpu": 0}
        ),
        param_space={
            "learning_rate": tune.loguniform(*LEARNING_RATE),
            "dropout": tune.uniform(*DROPOUT),
            "batch_size": tune.choice(BATCH_SIZES),
            "channel_width": tune.choice(CHANNEL_WIDTHS),
        },
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            num_samples=10_000,
            scheduler=ASHAScheduler(max_t=MAX_EPOCHS, grace_period=1, reduction_factor=2),
            search_alg=tune.search.basic_variant.BasicVariantGenerator(random_state=seed),
        ),
        run_config=tune.RunConfig(storage_path=str(Path(log).parent / f"ray-{seed}"), verbose=0),
    )
    tuner.fit()
