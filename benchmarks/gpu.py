"""Rate of one GPU: training loops, concurrent trials, whole searches.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --time-budget 3m --json gpu.json

Three networks train eagerly and as a CUDA graph. Then processes train the default network beside
each other, with MPS and by time slicing. Last come searches of the default space: as handsigns runs
them, eagerly with five trials per GPU, on the machine's CPU cores, and as in Ray Tune's tutorials.
Without an NVIDIA GPU nothing is measured.
"""

from __future__ import annotations

import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import torch
from harness import (
    Table,
    Target,
    at_least,
    epoch_start_time,
    events,
    finish,
    format_median,
    log_progress,
    make_parser,
    parse,
    ratios,
    run_cli,
    temporary_folder,
    write_synthetic_images,
)

from handsigns.cluster.mps import mps_daemon
from handsigns.config.duration import parse_duration
from handsigns.config.execution import Resources
from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.presets import list_presets
from handsigns.data.splits import Split
from handsigns.data.synthetic import CLASSES, generate_hands
from handsigns.training.device import describe_device
from handsigns.training.device_data import split_to_device
from handsigns.training.state import TrainingPlan, init_state
from handsigns.training.step import EpochTrainer

NUM_IMAGES = {"train": 864, "val": 216, "test": 216}
SIZE = 64
NETWORKS = {
    "default": TrialConfig(),
    "default, 64 channels, batches of 128": TrialConfig(channel_width=64, batch_size=128),
    "torchvision/resnet18": TrialConfig(architecture="torchvision/resnet18"),
}
PROCESSES = (1, 4, 8, 16)
MEASURED_SECONDS = 3.0
TUTORIAL_TRIALS_PER_GPU = 4
EAGER_SPACE = (
    list_presets()["default"]
    .read_text()
    .replace("\nspace:\n", "\nspace:\n  architecture: network:eager\n")
)
NETWORK = """
from handsigns.models.compact import CompactNet


def eager(config, classes, size):
    return CompactNet(classes, config.channel_width, config.dropout, size)
"""
"""User-defined networks are never captured as CUDA graphs."""


def main() -> int:
    """Measure and print the tables and targets."""
    parser = make_parser(__doc__ or "", repeats=3)
    parser.add_argument("--time-budget", default="60s", help="time budget of each search")
    args = parse(parser, repeats=1, time_budget="10s")
    if not torch.cuda.is_available():
        print("there is no NVIDIA GPU: nothing is measured")
        return finish([], [], args)
    log_progress("training loops")
    # In a process of its own: MPS is not started for searches while another process uses the GPU.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        loops, targets = pool.submit(training_loops, args.repeats).result()
    log_progress("concurrent processes")
    processes = concurrent_processes()
    with temporary_folder() as folder:
        write_synthetic_images(folder / "hands", NUM_IMAGES, SIZE, "jpg")
        searches, search_targets = compare_searches(folder, args.time_budget)
    return finish([loops, processes, searches], [*targets, *search_targets], args)


def make_trainer(config: TrialConfig) -> EpochTrainer:
    """Return a trainer on the GPU whose steps are captured."""
    images, labels = generate_hands(NUM_IMAGES["train"], seed=0, size=SIZE)
    split = Split(images, labels, tuple(map(str, range(len(labels)))))
    device = torch.device("cuda")
    plan = TrainingPlan(config, len(CLASSES), SIZE, max_epochs=1000, seed=0, device=device)
    trainer = EpochTrainer(init_state(plan), *split_to_device(split, device))
    trainer.train_epoch(1)
    return trainer


def training_loops(repeats: int) -> tuple[Table, list[Target]]:
    """Measure one training, eagerly and as a CUDA graph."""
    rows, speedups = [], {}
    for name, config in NETWORKS.items():
        trainer, steps = make_trainer(config), NUM_IMAGES["train"] // config.batch_size
        rates: dict[str, list[float]] = {"eager": [], "graph": []}
        for repeat in range(repeats):
            for how, values in rates.items():
                torch.cuda.synchronize()
                started = time.perf_counter()
                if how == "graph":
                    trainer.train_epoch(2 + repeat)
                else:
                    trainer.start_epoch(2 + repeat)
                    for _ in range(steps):
                        trainer.train_step()
                    torch.cuda.synchronize()
                values.append(steps / (time.perf_counter() - started))
        speedups[name] = ratios(rates["graph"], rates["eager"])
        images_per_s = [rate * config.batch_size for rate in rates["graph"]]
        rows.append(
            (
                name,
                format_median(rates["eager"], "{:,.0f}"),
                format_median(rates["graph"], "{:,.0f}"),
                format_median(images_per_s, "{:,.0f}"),
                format_median(speedups[name], "{:.1f}"),
            )
        )
    columns = ("network", "eager, steps/s", "CUDA graph, steps/s", "images/s", "speed-up")
    title = f"One training on {describe_device(torch.device('cuda'))}"
    speedup = statistics.median(speedups["default"])
    return (
        Table(title, columns, rows),
        [at_least("default network, CUDA graph relative to eager steps", speedup, 5)],
    )


def concurrent_processes() -> Table:
    """Measure processes that train the default network at the same time."""
    notes: list[str] = []
    rows = []
    for count in PROCESSES:
        with mps_daemon(Resources(mps="off"), notes.append):
            sliced = total_steps_per_s(count)
        with mps_daemon(Resources(mps="auto"), notes.append):
            shared = total_steps_per_s(count)
        rows.append((str(count), f"{sliced:,.0f}", f"{shared:,.0f}", f"{shared / sliced:.1f}"))
    title = f"Processes with CUDA graphs on one GPU{''.join(f' ({note})' for note in notes[:1])}"
    return Table(title, ("processes", "time slicing, steps/s", "MPS, steps/s", "ratio"), rows)


def total_steps_per_s(count: int) -> float:
    """Return the steps/s of several processes together."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(count), context.Queue()
    arguments = barrier, results
    workers = [context.Process(target=_train, args=arguments, daemon=True) for _ in range(count)]
    for worker in workers:
        worker.start()
    total = sum(results.get(timeout=300) for _ in workers)
    for worker in workers:
        worker.join()
    return float(total)


def _train(barrier: Barrier, results: Any) -> None:
    config = NETWORKS["default"]
    trainer, steps = make_trainer(config), 0
    barrier.wait(timeout=120)
    started = time.perf_counter()
    while (seconds := time.perf_counter() - started) < MEASURED_SECONDS:
        trainer.train_epoch(2)
        steps += NUM_IMAGES["train"] // config.batch_size
    results.put(steps / seconds)


def compare_searches(folder: Path, time_budget: str) -> tuple[Table, list[Target]]:
    """Run the default search in four ways; compare the steps/s of all its trials together."""
    (folder / "network.py").write_text(NETWORK)
    (folder / "eager.yaml").write_text(EAGER_SPACE)
    options = {
        "handsigns": ("default",),
        "eager, 5 trials per GPU, time slicing": (
            *(str(folder / "eager.yaml"), "--trust-user-code", "--gpus-per-trial", "0.2"),
            *("--set", "resources.mps=off"),
        ),
        "CPU cores": ("default", "--gpus-per-trial", "0"),
    }
    measured: dict[str, dict[str, float]] = {}
    for number, (name, arguments) in enumerate(options.items()):
        log_progress(f"search: {name}, {time_budget}")
        started = time.time()
        run_cli(
            *("search", *arguments, "--data", str(folder / "hands"), "--trials", "10000"),
            *("--time-budget", time_budget, "--results", str(folder), "--name", str(number)),
            "--no-report",
        )
        measured[name] = summarise(events(folder / str(number) / "journal.jsonl"), started)
    name = f"as in Ray Tune's tutorials, {TUTORIAL_TRIALS_PER_GPU} trials per GPU"
    log_progress(f"search: {name}, {time_budget}")
    log, started = folder / "tutorial.jsonl", time.time()
    script = Path(__file__).parent / "peer_methods" / "gpu_tutorial.py"
    subprocess.run(
        [
            *(sys.executable, str(script), str(folder / "hands"), str(log)),
            *(str(parse_duration(time_budget)), str(TUTORIAL_TRIALS_PER_GPU)),
        ],
        check=True,
        capture_output=True,
    )
    measured[name] = summarise(events(log), started)
    rates = {name: values["steps/s"] for name, values in measured.items()}
    columns = next(iter(measured.values()))
    rows = [(name, *(f"{v:,.3g}" for v in values.values())) for name, values in measured.items()]
    eager, cpu, tutorial = list(rates)[1:]
    targets = [
        at_least(f"search, steps/s relative to: {other}", rates["handsigns"] / rates[other], bound)
        for other, bound in ((eager, 10), (cpu, 10), (tutorial, 20))
    ]
    return Table(f"Searches of the default space, {time_budget}", ("", *columns), rows), targets


def summarise(log: Sequence[dict[str, Any]], started: float) -> dict[str, float]:
    """Return the rates of a search from its events, counted from its first step to its last."""
    batch_size = {
        event["trial_id"]: event["config"]["batch_size"]
        for event in log
        if event["event"] == "trial_started"
    }
    trained = [event for event in log if event["event"] == "epoch"]
    first, last = min(map(epoch_start_time, trained)), max(event["time"] for event in trained)
    steps = sum(
        event["metrics"].get("steps") or NUM_IMAGES["train"] // batch_size[event["trial_id"]]
        for event in trained
    )
    workers = len({event["node"] for event in trained if "node" in event}) or float("nan")
    busy = sum(event["time"] - epoch_start_time(event) for event in trained)
    return {
        "steps/s": steps / (last - first),
        "trials started per hour": len({e["trial_id"] for e in trained}) * 3600 / (last - first),
        "time in epochs per worker": busy / (last - first) / workers,
        "seconds to the first step": first - started,
    }


if __name__ == "__main__":
    sys.exit(main())
