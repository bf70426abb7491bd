"""Memory of a trial in addition to its libraries, and of searches on few and on many images.

    python benchmarks/memory.py
    python benchmarks/memory.py --images 64:100000 224:20000 --json memory.json

A trial runs in a new process, whose private memory (anonymous pages: no files, nothing shared) is
measured after the libraries are imported and during training. It is compared with the bytes of the
weights, gradients and moments, and of one batch's saved activations and their gradients.

Then a small search runs on few images and on many, which are checked first. The peak of the private
and shared memory of all its processes is compared, without pages of mapped files, which the system
can drop; so is the number of training images per second of a trial's epochs, of which validation
is a part. Linux only.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from harness import (
    Table,
    at_least,
    at_most,
    epochs,
    finish,
    format_median,
    log_progress,
    make_parser,
    measure_seconds,
    parse,
    process_tree,
    ratios,
    run_cli,
    temporary_folder,
)
from PIL import Image

from handsigns.config.hyperparameters import TrialConfig

MIB = 2**20
TRAIN_SHARE = 0.9 * (1 - 0.15)
"""Share of the images that are trained on: nine tenths, without the test split."""
SIZE = 64
MODELS = {
    "default": TrialConfig(),
    "default, batches of 64, 24 channels": TrialConfig(batch_size=64, channel_width=24),
    "CS230": TrialConfig(architecture="cs230", channel_width=32),
}
SPACE = """
space:
  learning_rate: {type: log_uniform, low: 1e-3, high: 1e-2}
  channel_width: 4
budget: {trials: 2}
scheduler: {name: none}
resources: {cpus_per_trial: 1}
reevaluation: {top: 0}
"""
FEW_IMAGES = 1200
"""Images that many are compared with."""
FEW_EPOCHS = 20
"""Epochs on few images, or fewer where many are less than so many times as many."""
MAX_ADDED_MIB = 512
"""Memory that a search on many images may need in addition to one on few, whatever their size."""


def main() -> int:
    """Measure and print the tables and targets."""
    parser = make_parser(__doc__ or "", repeats=3)
    parser.add_argument(
        "--images",
        nargs="+",
        metavar="SIZE:NUMBER",
        default=["64:100000", "224:20000"],
        help="large data sets: size in pixels, and number of images",
    )
    args = parse(parser, repeats=1, images=["32:200"])
    context = multiprocessing.get_context("spawn")
    rows, worst = [], 0.0
    for name, config in MODELS.items():
        log_progress(f"trial: {name}")
        libraries, required, added = [], [], []
        for _ in range(args.repeats):
            with context.Pool(1) as pool:
                before, peak, num_bytes = pool.apply(
                    measure_trial_memory, (config, 12 if args.smoke else 480)
                )
            libraries.append(before / MIB)
            added.append((peak - before) / MIB)
            required.append(num_bytes / MIB)
        ratio = ratios(added, required)
        worst = max(worst, statistics.median(ratio))
        rows.append(
            (
                name,
                *(format_median(v, "{:.0f}") for v in (libraries, required, added)),
                format_median(ratio, "{:.2f}"),
            )
        )
    trial = Table(
        "Memory of a trial, MiB",
        ("model", "libraries", "required", "added", "added / required"),
        rows,
    )
    targets = [at_most("memory of a trial, relative to model, optimiser and one batch", worst, 1.0)]
    uses = []
    for text in args.images:
        size, number = map(int, text.split(":"))
        with temporary_folder() as folder:
            num_few = 60 if args.smoke else FEW_IMAGES
            # Long enough that two trials run at the same time, as on many images.
            few = measure_search(folder, num_few, size, min(FEW_EPOCHS, number // num_few))
            many = measure_search(folder, number, size, 1)
        uses += [few, many]
        what = f"{number} images of {size} pixels"
        more = max(many.check_mib - few.check_mib, many.search_mib - few.search_mib)
        relative_speed = many.speed / few.speed
        targets += [
            at_most(f"{what}: MiB more than for {few.images}", more, MAX_ADDED_MIB),
            at_least(f"{what}: train images/s, relative to {few.images}", relative_speed, 0.9),
        ]
    sets = Table(
        "All processes of a check, and of a search with two workers",
        ("images", "size", "MiB of images", "check, s", "check, MiB", "search, MiB",
         "train images/s"),
        [use.row for use in uses],
    )  # fmt: skip
    return finish([trial, sets], targets, args)


@dataclass(frozen=True)
class SetUse:
    """Measurements on a data set: peaks of private and shared memory, and speed.

    Attributes:
        images, size: number of images, and their size in pixels.
        check_seconds, check_mib: of the check, which decodes the images.
        search_mib: of a search, while its trials train.
        speed: training images per second of an epoch, its validation included.
    """

    images: int
    size: int
    check_seconds: float
    check_mib: float
    search_mib: float
    speed: float

    @property
    def row(self) -> tuple[str, ...]:
        """Row of the table."""
        num_bytes = self.images * self.size**2 * 3
        figures = (num_bytes / MIB, self.check_seconds, self.check_mib, self.search_mib, self.speed)
        return (str(self.images), str(self.size), *(f"{value:.0f}" for value in figures))


def measure_trial_memory(config: TrialConfig, num_images: int) -> tuple[int, int, int]:
    """Return this process's bytes before a trial, their peak during it, and those required."""
    import torch

    from handsigns.data.splits import Split
    from handsigns.training.state import TrainingPlan, init_state
    from handsigns.training.train import train_epochs
    from handsigns.tuning import trainable  # noqa: F401  # all that a trial's process imports

    torch.set_num_threads(1)
    images = np.zeros((num_images, SIZE, SIZE, 3), np.uint8)
    labels = np.arange(num_images) % 6
    split = Split(images, labels, tuple(map(str, labels)))
    images += 1  # allocates the pages now, so that they do not count as the trial's
    before = anonymous_memory(["self"])
    samples, done = [before], threading.Event()

    def sample() -> None:
        while not done.wait(0.002):
            samples.append(anonymous_memory(["self"]))

    sampler = threading.Thread(target=sample)
    sampler.start()
    plan = TrainingPlan(config, 6, SIZE, 2, 0, torch.device("cpu"))
    state = init_state(plan)
    for _ in train_epochs(state, split, split):
        pass
    done.set()
    sampler.join()
    return before, max(samples), required_bytes(config)


def required_bytes(config: TrialConfig) -> int:
    """Return the bytes of weights, average, gradients, moments and one batch's activations."""
    import torch

    from handsigns.models import build_model

    model = build_model(config, 6, SIZE)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    saved: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    images = torch.rand(config.batch_size, 3, SIZE, SIZE)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = model(images)
    torch.autograd.backward(logits.sum())
    # The largest gradient of the backward pass is as large as the largest activation.
    return 5 * weights + sum(saved.values()) + max(saved.values())


def measure_search(folder: Path, num_images: int, size: int, max_epochs: int) -> SetUse:
    """Check a new data set, and search on it, with so many epochs a trial."""
    log_progress(f"{num_images} images of {size} pixels")
    data = folder / f"images-{num_images}"
    write_noise(data, num_images, size)
    space = folder / "space.yaml"
    space.write_text(SPACE)
    name = f"search-{num_images}"
    journal = folder / name / "journal.jsonl"
    checking, searching = [0], [0]

    def on_check(pid: int) -> None:
        checking.append(anonymous_memory(process_tree(pid), shared=True))

    def on_search(pid: int) -> None:
        if journal.exists():
            searching.append(anonymous_memory(process_tree(pid), shared=True))

    os.environ["HANDSIGNS_CACHE"] = str(folder / "cache")
    common = (str(data), "--size", str(size))
    seconds = measure_seconds(lambda: run_cli("check", *common, "--no-report", on_poll=on_check))
    log_progress(f"checked in {seconds:.0f} s")
    search = (
        *("search", str(space), "--data", *common, "--max-epochs", str(max_epochs)),
        *("--name", name, "--results", str(folder)),
    )
    # Reading the map of gigabytes takes a while.
    run_cli(*search, on_poll=on_search, poll_interval=3.0)
    trained = [event["metrics"]["epoch_seconds"] for event in epochs(journal)]
    speed = num_images * TRAIN_SHARE / statistics.median(trained)
    return SetUse(num_images, size, seconds, max(checking) / MIB, max(searching) / MIB, speed)


def write_noise(data: Path, num_images: int, size: int) -> None:
    """Write JPEGs of coarse noise in two classes, nine tenths of them for training."""
    rng = np.random.default_rng(0)
    for number in range(num_images):
        split = "train" if number % 10 else "val"
        path = data / split / str(number % 7 % 2) / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
        coarse.resize((size, size), Image.Resampling.BILINEAR).save(path, quality=80)


def anonymous_memory(pids: Iterable[int | str], *, shared: bool = False) -> int:
    """Return the bytes in private and, if `shared`, in shared pages, counting each page once."""
    fields = ("Pss_Anon:", "Pss_Shmem:") if shared else ("Pss_Anon:",)
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # it has ended
        total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith(fields))
    return total


if __name__ == "__main__":
    sys.exit(main())
