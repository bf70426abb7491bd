"""Winners without a search: a network and its card in a folder."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from handsigns.config.hyperparameters import TrialConfig
from handsigns.data.dataset import DataSet
from handsigns.data.splits import DataInfo, Split
from handsigns.models import build_model
from handsigns.results.winner import ModelCard
from handsigns.training.augment import normalize
from handsigns.winner.model import save_model

SIZE = 32
NAMES = ("<one>", "zwei", "三")


def save_winner(folder: Path, config: TrialConfig, *members: nn.Module) -> Path:
    """Save a winner of one network, or of an ensemble, that distinguishes NAMES."""
    seeds = tuple(range(1, len(members) + 1))
    card = ModelCard(config=config, classes=NAMES, size=SIZE, epochs=1, seeds=seeds,
                     search="first", trial_id="0003", selected_by="rank",
                     selected_after_test=False, fingerprint="abc", git_revision=None,
                     user_code={}, trained_seeds=seeds)  # fmt: skip
    folder.mkdir()
    save_model(folder, dict(zip(seeds, members, strict=True)), card)
    return folder


def random_network(config: TrialConfig, seed: int = 0) -> nn.Module:
    """Return a network with random weights and populated batch-norm statistics."""
    torch.manual_seed(seed)
    model = build_model(config, len(NAMES), SIZE)
    for _ in range(3):
        model(torch.randn(8, 3, SIZE, SIZE))
    return model


def trained_network(config: TrialConfig, split: Split, seed: int = 0) -> nn.Module:
    """Return a network trained on a split until it classifies most of its images correctly."""
    torch.manual_seed(seed)
    model = build_model(config, len(NAMES), SIZE)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    images, labels = normalize(torch.tensor(split.images)), torch.tensor(split.labels)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return model


def data_of(train: Split, val: Split) -> DataSet:
    """Return a data set without a test split: opening it fails."""
    info = DataInfo("bands", "abc", NAMES, SIZE, {"train": (1, 1, 1), "val": (1, 1, 1)})
    return DataSet(info, train, val, SimpleNamespace())


def random_images(count: int) -> np.ndarray:
    """Return images of noise, uint8 (count, SIZE, SIZE, 3)."""
    shape = (count, SIZE, SIZE, 3)
    return np.random.default_rng(count).integers(0, 256, shape, dtype=np.uint8)
