"""Training throughput on one core, relative to peak GEMM and to a CS230-style loop.

    python benchmarks/training.py
    python benchmarks/training.py --repeats 3 --json training.json

All measurements run interleaved on one core. The share of peak GEMM counts the float32 operations
of the model's convolutions and matrix products, forward and backward; everything else in a step
(augmentation, norms, pooling, optimiser, metrics) takes time but counts as no operation.
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
    finish,
    format_median,
    log_progress,
    make_parser,
    parse,
    ratios,
    temporary_folder,
    write_synthetic_images,
)
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms

from handsigns.config.hyperparameters import TrialConfig
from handsigns.data.splits import Split
from handsigns.data.synthetic import CLASSES, generate_hands
from handsigns.models import build_model
from handsigns.training.evaluate import predict_logits
from handsigns.training.state import TrainingPlan, init_state
from handsigns.training.train import train_epochs

NUM_IMAGES = 960
SIZE = 64
BATCH_SIZE = 32
MODELS = {
    "CS230": TrialConfig(architecture="cs230", channel_width=32),
    "default": TrialConfig(),
}
FLIP_ONLY_AUGMENTATION = {"rotation": 0.0, "scale": 0.0, "translation": 0.0, "color_jitter": 0.0}
"""Settings that reduce the augmentation to that of CS230."""


def main() -> int:
    """Measure and print the table and targets."""
    parser = make_parser(__doc__ or "", repeats=5)
    parser.add_argument(
        "--images", type=int, default=NUM_IMAGES, metavar="N", help="images per epoch"
    )
    args = parse(parser, repeats=1, images=BATCH_SIZE)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    images, labels = generate_hands(args.images, seed=0, size=SIZE)
    split = Split(images, labels, tuple(map(str, labels)))
    with temporary_folder() as folder:
        write_synthetic_images(folder, {"train": args.images}, SIZE, "jpg")
        cases: dict[tuple[str, str], Callable[[], float]] = {}
        for model, config in MODELS.items():
            flips = config.model_copy(update=FLIP_ONLY_AUGMENTATION)
            cases |= {
                (model, "handsigns"): partial(handsigns_loop, config, split),
                (model, "handsigns, flips only"): partial(handsigns_loop, flips, split),
                (model, "CS230-style"): partial(dataloader_loop, model, folder / "train"),
                (model, "handsigns, evaluation"): partial(handsigns_evaluation, config, split),
            }
        throughputs: dict[tuple[str, str], list[float]] = {key: [] for key in cases}
        gemm_rates: list[float] = []
        for repeat in range(args.repeats):
            log_progress(f"repetition {repeat + 1} of {args.repeats}")
            gemm_rates.append(gemm_flops())
            for key, measure in cases.items():
                throughputs[key].append(measure())
    return _report(throughputs, gemm_rates, args)


def _report(
    throughputs: dict[tuple[str, str], list[float]],
    gemm_rates: list[float],
    args: argparse.Namespace,
) -> int:
    rows = []
    shares, speedups = {}, {}
    for (model, loop), images_per_s in throughputs.items():
        flops = flops_per_image(MODELS[model], training="evaluation" not in loop)
        flop_rates = [rate * flops for rate in images_per_s]
        shares[model, loop] = ratios(flop_rates, gemm_rates)
        speedups[model, loop] = ratios(images_per_s, throughputs[model, "CS230-style"])
        rows.append(
            (
                model,
                loop,
                format_median(images_per_s, "{:.0f}"),
                format_median([rate / 1e9 for rate in flop_rates], "{:.0f}"),
                format_median(shares[model, loop], "{:.0%}"),
                "" if "evaluation" in loop else format_median(speedups[model, loop], "{:.2f}"),
            )
        )
    peak = format_median([rate / 1e9 for rate in gemm_rates], "{:.0f}")
    title = (
        f"One core, batches of {BATCH_SIZE} images of {SIZE}x{SIZE}. Peak GEMM throughput is "
        f"{peak} GFLOP/s"
    )
    columns = ("model", "loop", "images/s", "GFLOP/s", "of peak GEMM", "relative to CS230-style")
    default, cs230 = throughputs["default", "handsigns"], throughputs["CS230", "CS230-style"]
    targets = [
        at_least(
            "default model, share of peak GEMM throughput",
            statistics.median(shares["default", "handsigns"]),
            0.65,
        ),
        at_least(
            "a default trial, speed relative to the CS230 model in the CS230-style loop",
            statistics.median(ratios(default, cs230)),
            2.5,
        ),
        *(
            at_least(
                f"{model} model in both loops, speed relative to the CS230-style loop",
                statistics.median(speedups[model, "handsigns"]),
                2.5,
            )
            for model in MODELS
        ),
    ]
    return finish([Table(title, columns, rows)], targets, args)


def gemm_flops(size: int = 1536, times: int = 12) -> float:
    """Return the operations per second of a float32 product of two square matrices."""
    a, b, out = (torch.rand(size, size) for _ in range(3))
    torch.mm(a, b, out=out)
    started = time.perf_counter()
    for _ in range(times):
        torch.mm(a, b, out=out)
    return times * 2 * size**3 / (time.perf_counter() - started)


def flops_per_image(config: TrialConfig, *, training: bool) -> float:
    """Return the float operations per image in convolutions and matrix products."""
    model = build_model(config, len(CLASSES), SIZE)
    images = torch.rand(BATCH_SIZE, 3, SIZE, SIZE)
    counter = FlopCounterMode(display=False)
    with counter:
        logits = model(images)
        if training:
            torch.autograd.backward(logits.sum())
    return counter.get_total_flops() / BATCH_SIZE


def handsigns_loop(config: TrialConfig, split: Split) -> float:
    """Return the images per second in the second epoch of a trial's training loop."""
    plan = TrainingPlan(config, len(CLASSES), SIZE, 2, 0, torch.device("cpu"))
    seconds = [metrics.epoch_seconds for metrics in train_epochs(init_state(plan), split, None)]
    return len(split) / seconds[-1]


def handsigns_evaluation(config: TrialConfig, split: Split) -> float:
    """Return the images per second of an evaluation."""
    model = build_model(config, len(CLASSES), SIZE)
    images = torch.from_numpy(split.images)
    predict_logits(model, images[:BATCH_SIZE])
    started = time.perf_counter()
    predict_logits(model, images)
    return len(split) / (time.perf_counter() - started)


class ImageFiles(Dataset[tuple[Tensor, int]]):
    """Data set of files that are opened, decoded and transformed at each access."""

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


def dataloader_loop(model_name: str, folder: Path) -> float:
    """Return the images per second in the second epoch of a CS230-style training loop.

    The same model in torch's default memory format, CS230's four data-loading workers, torch's
    Adam, and the metrics of each batch in numpy.
    """
    loader = DataLoader(
        ImageFiles(folder), BATCH_SIZE, shuffle=True, num_workers=4, persistent_workers=True
    )
    model = build_model(MODELS[model_name], len(CLASSES), SIZE)
    model = model.to(memory_format=torch.contiguous_format)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for _ in range(2):
        started = time.perf_counter()
        for images, labels in loader:
            outputs = model(images)
            loss = F.cross_entropy(outputs, labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            _batch_metrics(outputs.detach().numpy(), labels.numpy(), loss.item())
        seconds = time.perf_counter() - started
    return len(loader.dataset) / seconds  # type: ignore[arg-type]


def _batch_metrics(
    outputs: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], loss: float
) -> dict[str, float]:
    """Return the metrics of a batch."""
    num_correct = np.sum(outputs.argmax(axis=1) == labels)
    return {"accuracy": float(num_correct) / len(labels), "loss": loss}


if __name__ == "__main__":
    sys.exit(main())
