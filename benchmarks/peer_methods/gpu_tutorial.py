"""Search on a GPU as in the tutorials: Ray Tune, fractional GPUs, a DataLoader of image files.

python gpu_tutorial.py DATA LOG SECONDS TRIALS_PER_GPU
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from objective import log_epoch
from ray import tune
from ray.tune.schedulers import ASHAScheduler

MAX_EPOCHS = 36
SIZE = 64


def train_trial(config: dict[str, Any], data: str, log: str) -> None:
    """Train the default network on a share of a GPU."""
    import torch
    import torch.nn.functional as F
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    from handsigns.config.hyperparameters import TrialConfig
    from handsigns.models import build_model

    transform = transforms.Compose(
        [
            transforms.RandomHorizontalFlip(),
            transforms.RandomAffine(10, translate=(0.1, 0.1), scale=(0.9, 1.1)),
            transforms.ColorJitter(0.2, 0.2, 0.2),
            transforms.ToTensor(),
        ]
    )
    train = datasets.ImageFolder(f"{data}/train", transform)
    val = datasets.ImageFolder(f"{data}/val", transforms.ToTensor())
    size = int(config["batch_size"])
    train_loader = DataLoader(
        train, size, shuffle=True, drop_last=True, num_workers=2, persistent_workers=True
    )
    val_loader = DataLoader(val, 256, num_workers=1, persistent_workers=True)
    model_config = TrialConfig(channel_width=config["channel_width"], dropout=config["dropout"])
    model = build_model(model_config, len(train.classes), SIZE).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=config["learning_rate"])
    trial = tune.get_context().get_trial_id()
    for epoch in range(1, MAX_EPOCHS + 1):
        started = time.perf_counter()
        model.train()
        for images, labels in train_loader:
            with torch.autocast("cuda", torch.bfloat16):
                loss = F.cross_entropy(model(images.cuda()), labels.cuda())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        model.eval()
        total = 0.0
        with torch.no_grad():
            for images, labels in val_loader:
                logits = model(images.cuda())
                total += F.cross_entropy(logits, labels.cuda(), reduction="sum").item()
        val_loss = total / len(val)
        steps = len(train_loader)
        log_epoch(log, trial, epoch, val_loss, time.perf_counter() - started, steps=steps)
        with tempfile.TemporaryDirectory() as folder:
            torch.save(model.state_dict(), Path(folder) / "model.pt")
            tune.report({"loss": val_loss}, checkpoint=tune.Checkpoint.from_directory(folder))


if __name__ == "__main__":
    data, log, seconds, per_gpu = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
    ray.init("local")
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(train_trial, data=data, log=log), {"cpu": 1, "gpu": 1 / per_gpu}
        ),
        param_space={
            "learning_rate": tune.loguniform(5e-4, 2e-2),
            "dropout": tune.uniform(0.0, 0.5),
            "batch_size": tune.choice([16, 32, 64]),
            "channel_width": tune.choice([8, 12, 16, 20, 24]),
        },
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            num_samples=10_000,
            time_budget_s=seconds,
            scheduler=ASHAScheduler(max_t=MAX_EPOCHS, grace_period=6, reduction_factor=3),
        ),
        run_config=tune.RunConfig(storage_path=str(Path(log).parent / "ray"), verbose=0),
    )
    tuner.fit()
