"""Memory of a trial in addition to its libraries, and copies of the images per node.

    python benchmarks/memory.py
    python benchmarks/memory.py --images 20000 --json memory.json

A trial runs in a new process, whose private memory (anonymous pages: no files, nothing shared) is
measured after the libraries are imported and during training. It is compared with the bytes of the
weights, gradients and moments, and of one batch's saved activations and their gradients.

Then the same small search runs on few images and on many. The increase of the private and shared
memory of all its processes is compared with the size of the images. Linux only.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from harness import (
    Table,
    at_most,
    epochs,
    finish,
    format_median,
    log_progress,
    make_parser,
    parse,
    process_tree,
    ratios,
    run_cli,
    temporary_folder,
)
from PIL import Image

from handsigns.config.hyperparameters import TrialConfig

MIB = 2**20
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
budget: {trials: 2, max_epochs: 3}
scheduler: {name: none}
"""


def main() -> int:
    """Measure and print the tables and targets."""
    parser = make_parser(__doc__ or "", repeats=3)
    parser.add_argument("--images", type=int, default=12_000, help="size of the large data set")
    args = parse(parser, repeats=1, images=200)
    context = multiprocessing.get_context("spawn")
    rows, worst = [], 0.0
    for name, config in MODELS.items():
        log_progress(f"trial: {name}")
        libraries, required, added = [], [], []
        for _ in range(args.repeats):
            with context.Pool(1) as pool:
                before, peak, num_bytes = pool.apply(
                    measure_trial_memory, (config, min(480, args.images))
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
    with temporary_folder() as folder:
        few, many = args.images // 10, args.images
        totals = {count: peak_memory(folder, count) for count in (few, many)}
    size = (many - few) * SIZE * SIZE * 3
    copies = (totals[many] - totals[few]) / size
    node = Table(
        "All processes of a search with two workers, MiB",
        ("images", "size of the images", "private and shared pages"),
        [
            (str(count), f"{count * SIZE * SIZE * 3 / MIB:.0f}", f"{total / MIB:.0f}")
            for count, total in totals.items()
        ]
        + [("difference", f"{size / MIB:.0f}", f"{copies * size / MIB:.0f}")],
    )
    targets = [
        at_most("copies of the images per node", copies, 1.1),
        at_most("memory of a trial, relative to model, optimiser and one batch", worst, 1.0),
    ]
    return finish([trial, node], targets, args)


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


def peak_memory(folder: Path, num_images: int) -> int:
    """Return the peak memory, in bytes, of all processes of a search while its trials train."""
    log_progress(f"search on {num_images} images")
    data = folder / f"images-{num_images}"
    rng = np.random.default_rng(0)
    for number in range(num_images):
        split = "train" if number % 10 else "val"
        path = data / split / str(number % 7 % 2) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)).save(
            path, compress_level=0
        )
    space = folder / "space.yaml"
    space.write_text(SPACE)
    name = f"search-{num_images}"
    command = ["search", str(space), "--data", str(data), "--size", str(SIZE)]
    command += ["--name", name, "--results", str(folder)]
    samples = [0]

    def on_poll(pid: int) -> None:
        if epochs(folder / name / "journal.jsonl"):
            samples.append(anonymous_memory(process_tree(pid), shared=True))

    run_cli(*command, on_poll=on_poll, poll_interval=0.3)
    return max(samples)


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
