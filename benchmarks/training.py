"""The training step: our loop on one core, beside a matrix product and a course-style loop.

    python benchmarks/training.py
    python benchmarks/training.py --repeats 3 --json training.json

All of it runs on one core, in turns. The share is that of the float32 operations of the network's
convolutions and products, forward and backward, in what a large matrix product reaches; everything
else a step does (augmentation, norms, pooling, optimiser, metrics) takes time and counts nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from harness import (
    Table,
    at_least,
    draw_pictures,
    finish,
    middle,
    options,
    parse,
    ratios,
    tell,
    workplace,
)
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms

from handsigns.config.hyperparameters import TrialConfig
from handsigns.data.splits import Split
from handsigns.data.synthetic import CLASSES, draw_hands
from handsigns.models import build_model
from handsigns.training.evaluate import predict_logits
from handsigns.training.train import TrainingPlan, fit, start

PICTURES = 960
SIZE = 64
BATCH = 32
NETWORKS = {
    "course": TrialConfig(architecture="course", channel_width=32),
    "default": TrialConfig(),
}
FLIP_ONLY = {"rotation": 0.0, "scale": 0.0, "translation": 0.0, "color_jitter": 0.0}
"""What leaves the course's augmentation of ours."""


def main() -> int:
    """Measure, print, and write the aims."""
    parser = options(__doc__ or "", repeats=5)
    parser.add_argument("--pictures", type=int, default=PICTURES, metavar="N", help="of an epoch")
    chosen = parse(parser, repeats=1, pictures=BATCH)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    images, labels = draw_hands(chosen.pictures, seed=0, size=SIZE)
    split = Split(images, labels, tuple(map(str, labels)))
    with workplace() as folder:
        draw_pictures(folder, {"train": chosen.pictures}, SIZE, "jpg")
        contenders: dict[tuple[str, str], Callable[[], float]] = {}
        for network, config in NETWORKS.items():
            flips = config.model_copy(update=FLIP_ONLY)
            contenders |= {
                (network, "ours"): partial(our_loop, config, split),
                (network, "ours, flips only"): partial(our_loop, flips, split),
                (network, "course-style"): partial(course_style_loop, network, folder / "train"),
                (network, "ours, evaluation"): partial(our_evaluation, config, split),
            }
        rates: dict[tuple[str, str], list[float]] = {key: [] for key in contenders}
        products: list[float] = []
        for repeat in range(chosen.repeats):
            tell(f"{repeat + 1} of {chosen.repeats}")
            products.append(matrix_product())
            for key, measure in contenders.items():
                rates[key].append(measure())
    return _report(rates, products, chosen)


def _report(
    rates: dict[tuple[str, str], list[float]], products: list[float], chosen: argparse.Namespace
) -> int:
    rows = []
    shares, gains = {}, {}
    for (network, loop), measured in rates.items():
        work = operations(NETWORKS[network], training="evaluation" not in loop)
        speeds = [rate * work for rate in measured]
        shares[network, loop] = ratios(speeds, products)
        gains[network, loop] = ratios(measured, rates[network, "course-style"])
        rows.append(
            (
                network,
                loop,
                middle(measured, "{:.0f}"),
                middle([speed / 1e9 for speed in speeds], "{:.0f}"),
                middle(shares[network, loop], "{:.0%}"),
                "" if "evaluation" in loop else middle(gains[network, loop], "{:.2f}"),
            )
        )
    reached = middle([product / 1e9 for product in products], "{:.0f}")
    title = (
        f"One core, batches of {BATCH} pictures of {SIZE} x {SIZE}; the matrix product reaches "
        f"{reached} GFLOP/s"
    )
    columns = ("network", "loop", "images/s", "GFLOP/s", "of the product", "to course-style")
    aims = [
        at_least(
            "default network, share of the matrix product",
            statistics.median(shares["default", "ours"]),
            0.65,
        ),
        at_least(
            "a default trial, speed to the course's network in the course-style loop",
            statistics.median(ratios(rates["default", "ours"], rates["course", "course-style"])),
            2.5,
        ),
        *(
            at_least(
                f"{network} network in both loops, speed to the course-style loop",
                statistics.median(gains[network, "ours"]),
                2.5,
            )
            for network in NETWORKS
        ),
    ]
    return finish([Table(title, columns, rows)], aims, chosen)


def matrix_product(size: int = 1536, times: int = 12) -> float:
    """Operations a second of a float32 product of two square matrices."""
    a, b, out = (torch.rand(size, size) for _ in range(3))
    torch.mm(a, b, out=out)
    begun = time.perf_counter()
    for _ in range(times):
        torch.mm(a, b, out=out)
    return times * 2 * size**3 / (time.perf_counter() - begun)


def operations(config: TrialConfig, *, training: bool) -> float:
    """Float operations for each picture, in convolutions and matrix products."""
    model = build_model(config, len(CLASSES), SIZE)
    images = torch.rand(BATCH, 3, SIZE, SIZE)
    counter = FlopCounterMode(display=False)
    with counter:
        logits = model(images)
        if training:
            torch.autograd.backward(logits.sum())
    return counter.get_total_flops() / BATCH


def our_loop(config: TrialConfig, split: Split) -> float:
    """Images a second of the second epoch of a trial's own loop."""
    plan = TrainingPlan(config, len(CLASSES), SIZE, 2, 0, torch.device("cpu"))
    epochs = [metrics.epoch_seconds for metrics in fit(start(plan), split, None)]
    return len(split) / epochs[-1]


def our_evaluation(config: TrialConfig, split: Split) -> float:
    """Images a second of an evaluation."""
    model = build_model(config, len(CLASSES), SIZE)
    images = torch.from_numpy(split.images)
    predict_logits(model, images[:BATCH])
    begun = time.perf_counter()
    predict_logits(model, images)
    return len(split) / (time.perf_counter() - begun)


class Pictures(Dataset[tuple[Tensor, int]]):
    """Files that are opened, decoded and transformed one at a time, each time they are used."""

    def __init__(self, folder: Path) -> None:
        self._files = sorted(folder.glob("*/*.jpg"))
        self._transform = transforms.Compose(
            [
                transforms.Resize(SIZE),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
            ]
        )

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path = self._files[index]
        return self._transform(Image.open(path)), int(path.parent.name)


def course_style_loop(network: str, folder: Path) -> float:
    """Images a second of the second epoch of the loop as the course's projects have it.

    The same network in torch's usual layout, the course's four workers, torch's Adam, and each
    batch's metrics in numpy.
    """
    loader = DataLoader(
        Pictures(folder), BATCH, shuffle=True, num_workers=4, persistent_workers=True
    )
    model = build_model(NETWORKS[network], len(CLASSES), SIZE)
    model = model.to(memory_format=torch.contiguous_format)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for _ in range(2):
        begun = time.perf_counter()
        for images, labels in loader:
            outputs = model(images)
            loss = F.cross_entropy(outputs, labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            _summary(outputs.detach().numpy(), labels.numpy(), loss.item())
        seconds = time.perf_counter() - begun
    return len(loader.dataset) / seconds  # type: ignore[arg-type]


def _summary(
    outputs: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], loss: float
) -> dict[str, float]:
    """The metrics of one batch."""
    hits = np.sum(outputs.argmax(axis=1) == labels)
    return {"accuracy": float(hits) / len(labels), "loss": loss}


if __name__ == "__main__":
    sys.exit(main())
