"""What a trial needs beside the libraries, and how often a node holds the pictures.

    python benchmarks/memory.py
    python benchmarks/memory.py --pictures 20000 --json memory.json

A trial is run in a fresh process, whose own memory (anonymous pages: no files, nothing shared) is
looked at after the libraries are loaded and while it trains. Held against it are the bytes of its
weights, gradients and moments and of what one batch keeps for the backward pass and hands back.

Then the same small search is run on few pictures and on many. What all its processes together hold
more, in pages of their own and in shared ones, is held against the pictures' bytes. Linux only.
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
    family,
    finish,
    middle,
    options,
    parse,
    ratios,
    tell,
    tune,
    workplace,
)
from PIL import Image

from handsigns.config.hyperparameters import TrialConfig

MIB = 2**20
SIZE = 64
NETWORKS = {
    "default": TrialConfig(),
    "default, batches of 64, 24 channels": TrialConfig(batch_size=64, channel_width=24),
    "course": TrialConfig(architecture="course", channel_width=32),
}
SPACE = """
space:
  learning_rate: {type: log_uniform, low: 1e-3, high: 1e-2}
  channel_width: 4
budget: {trials: 2, max_epochs: 3}
scheduler: {name: none}
"""


def main() -> int:
    """Measure, print, and write the aims."""
    parser = options(__doc__ or "", repeats=3)
    parser.add_argument("--pictures", type=int, default=12_000, help="of the large data set")
    chosen = parse(parser, repeats=1, pictures=200)
    context = multiprocessing.get_context("spawn")
    rows, worst = [], 0.0
    for name, config in NETWORKS.items():
        tell(f"a trial: {name}")
        added, wanted, loaded = [], [], []
        for _ in range(chosen.repeats):
            with context.Pool(1) as pool:
                before, peak, bytes_needed = pool.apply(probe, (config, min(480, chosen.pictures)))
            loaded.append(before / MIB)
            added.append((peak - before) / MIB)
            wanted.append(bytes_needed / MIB)
        share = ratios(added, wanted)
        worst = max(worst, statistics.median(share))
        rows.append(
            (name, *(middle(v, "{:.0f}") for v in (loaded, wanted, added)), middle(share, "{:.2f}"))
        )
    trial = Table(
        "A trial's own memory, MiB",
        ("network", "libraries", "needed", "added", "added to needed"),
        rows,
    )
    with workplace() as folder:
        few, many = chosen.pictures // 10, chosen.pictures
        totals = {count: held(folder, count) for count in (few, many)}
    size = (many - few) * SIZE * SIZE * 3
    copies = (totals[many] - totals[few]) / size
    node = Table(
        "All processes of a search with two slots, MiB",
        ("pictures", "their bytes", "own and shared pages"),
        [
            (str(count), f"{count * SIZE * SIZE * 3 / MIB:.0f}", f"{total / MIB:.0f}")
            for count, total in totals.items()
        ]
        + [("difference", f"{size / MIB:.0f}", f"{copies * size / MIB:.0f}")],
    )
    aims = [
        at_most("copies of the pictures on a node", copies, 1.1),
        at_most("a trial's memory, to its model, optimiser and one batch", worst, 1.0),
    ]
    return finish([trial, node], aims, chosen)


def probe(config: TrialConfig, pictures: int) -> tuple[int, int, int]:
    """Bytes of this process before a trial, at most during it, and those that it needs."""
    import torch

    from handsigns.data.splits import Split
    from handsigns.training.train import TrainingPlan, fit, start
    from handsigns.tuning import trainable  # noqa: F401  # all that a trial's process loads

    torch.set_num_threads(1)
    images = np.zeros((pictures, SIZE, SIZE, 3), np.uint8)
    labels = np.arange(pictures) % 6
    split = Split(images, labels, tuple(map(str, labels)))
    images += 1  # touched, so that they do not count as the trial's
    before = anonymous(["self"])
    peak, done = [before], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            peak.append(anonymous(["self"]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    plan = TrainingPlan(config, 6, SIZE, 2, 0, torch.device("cpu"))
    state = start(plan)
    for _ in fit(state, split, split):
        pass
    done.set()
    watcher.join()
    return before, max(peak), needed(config)


def needed(config: TrialConfig) -> int:
    """Bytes of weights, their averages, gradients and moments, and of what one batch keeps."""
    import torch

    from handsigns.models import build_model

    model = build_model(config, 6, SIZE)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    images = torch.rand(config.batch_size, 3, SIZE, SIZE)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = model(images)
    torch.autograd.backward(logits.sum())
    # The widest gradient that flows back is as large as the widest activation.
    return 5 * weights + sum(kept.values()) + max(kept.values())


def held(folder: Path, pictures: int) -> int:
    """Bytes that all processes of a search hold at most while its trials train."""
    tell(f"a search on {pictures} pictures")
    data = folder / f"pictures-{pictures}"
    chance = np.random.default_rng(0)
    for number in range(pictures):
        split = "train" if number % 10 else "val"
        path = data / split / str(number % 7 % 2) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(chance.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)).save(
            path, compress_level=0
        )
    space = folder / "space.yaml"
    space.write_text(SPACE)
    name = f"search-{pictures}"
    command = ["search", str(space), "--data", str(data), "--size", str(SIZE)]
    command += ["--name", name, "--results", str(folder)]
    seen = [0]

    def look(pid: int) -> None:
        if epochs(folder / name / "journal.jsonl"):
            seen.append(anonymous(family(pid), shared=True))

    tune(*command, look=look, every=0.3)
    return max(seen)


def anonymous(pids: Iterable[int | str], *, shared: bool = False) -> int:
    """Bytes in pages of the processes' own, and in shared ones if asked: each page once."""
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
