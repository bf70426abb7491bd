"""Overhead of a search beside training: gaps, reports, idle workers, large searches.

    python benchmarks/overhead.py
    python benchmarks/overhead.py --time-budget 15m --json overhead.json

The default search runs for some minutes, and its journal shows where the time went. Then come a
search of thousands of trials of two tiny epochs, whose throughput and driver memory must not
degrade, and the leaderboard of a simulated search of ten thousand trials.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness import (
    Table,
    Target,
    at_least,
    at_most,
    epoch_start_time,
    events,
    finish,
    format_median,
    log_progress,
    make_parser,
    make_trial_spec,
    measure_seconds,
    parse,
    resident_mib,
    run_cli,
    temporary_folder,
    write_synthetic_images,
)

from handsigns.config.hyperparameters import Scalar, TrialConfig
from handsigns.config.load import load_search_config
from handsigns.data.splits import DataInfo
from handsigns.metrics import EpochMetrics
from handsigns.policy.sampler import Sampler
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import DataRecord, create_search
from handsigns.results.trial import Placement, TrialRecord

TINY_SEARCH = """
space:
  learning_rate: {type: log_uniform, low: 1e-3, high: 3e-2}
  dropout: {type: uniform, low: 0.0, high: 0.5}
  weight_decay: {type: log_uniform, low: 1e-4, high: 1e-1}
  channel_width: 2
  batch_size: 4
budget: {trials: 2000, max_epochs: 2}
scheduler: {name: asha, grace_period: 1, reduction_factor: 2}
searcher: {name: random}
"""
"""Search on twelve images of 16x16 with two channels: an epoch takes milliseconds."""

WINDOW = 200
"""Trials over which throughput is averaged."""


def main() -> int:
    """Measure and print the tables and targets."""
    parser = make_parser(__doc__ or "", repeats=5)
    parser.add_argument("--time-budget", default="4m", help="time budget of the default search")
    parser.add_argument("--trials", type=int, default=2000, help="trials of the tiny search")
    parser.add_argument(
        "--simulated", type=int, default=10_000, help="trials of the simulated search"
    )
    args = parse(parser, repeats=1, trials=24, simulated=100)
    if args.trials < 24:
        parser.error("--trials: at least 24, as the first ten are not measured")
    with temporary_folder() as folder:
        if not args.smoke:
            log_progress(f"default search, {args.time_budget}")
            run_cli("search", "default", "--time-budget", args.time_budget, "--trials", "10000",
                 "--name", "default", "--results", str(folder))  # fmt: skip
        log_progress(f"{args.trials} tiny trials")
        many, many_targets = many_trials(folder, args.trials)
        measured = "many" if args.smoke else "default"
        search, search_targets = worker_utilisation(events(folder / measured / "journal.jsonl"))
        log_progress(f"leaderboard of {args.simulated} trials")
        board, board_targets = large_leaderboard(folder, args.repeats, args.simulated)
        log_progress("suggestions of TPE")
        tpe = sampler_latency(folder, min(5000, args.simulated))
    targets = [*search_targets, *many_targets, *board_targets]
    return finish([search, many, tpe, board], targets, args)


def worker_utilisation(journal: Sequence[dict[str, Any]]) -> tuple[Table, list[Target]]:
    """Break down the workers' time between the first training step and the last.

    An epoch starts `epoch_seconds` before its report is received. The time between an epoch's
    report and the start of the next epoch in the same process is a report with its checkpoint, or,
    where the trial changes, the gap between two trials, which includes one such report.
    """
    previous: dict[str, dict[str, Any]] = {}
    reports: list[float] = []
    gaps: list[float] = []
    training_s, started, ended = 0.0, float("inf"), 0.0
    for event in journal:
        if event["event"] != "epoch":
            continue
        epoch_started = epoch_start_time(event)
        training_s += event["time"] - epoch_started
        started, ended = min(started, epoch_started), max(ended, event["time"])
        last = previous.get(event["node"])
        if last is not None:
            same_trial = last["trial_id"] == event["trial_id"]
            (reports if same_trial else gaps).append(1000 * (epoch_started - last["time"]))
        previous[event["node"]] = event
    utilisation = training_s / (len(previous) * (ended - started))
    rows = [
        ("gap between trials, ms", str(len(gaps)), *_quantiles(gaps)),
        ("report with checkpoint, ms", str(len(reports)), *_quantiles(reports)),
        ("worker utilisation (time in epochs)", str(len(previous)), f"{utilisation:.1%}", "", ""),
    ]
    title = f"The default search, {ended - started:.0f} s from its first training step to its last"
    table = Table(title, ("", "count", "median", "90th percentile", "maximum"), rows)
    targets = [
        at_most("gap between trials, median ms", statistics.median(gaps), 50),
        at_most("report with checkpoint, median ms", statistics.median(reports), 15),
        at_least("worker utilisation", utilisation, 0.95),
    ]
    return table, targets


def many_trials(folder: Path, trials: int) -> tuple[Table, list[Target]]:
    """Measure throughput and driver memory from the first trial to the last."""
    write_synthetic_images(folder / "few", {"train": 12, "val": 6, "test": 6}, 16, "png")
    space = folder / "tiny.yaml"
    space.write_text(TINY_SEARCH)
    arguments = ["search", str(space), "--data", str(folder / "few"), "--size", "16"]
    arguments += ["--trials", str(trials), "--name", "many", "--results", str(folder)]
    memory: list[tuple[float, float]] = []
    run_cli(
        *arguments,
        on_poll=lambda pid: memory.append((time.time(), resident_mib(pid))),
        poll_interval=0.5,
    )
    journal = events(folder / "many" / "journal.jsonl")
    times = [event["time"] for event in journal if event["event"] == "trial_started"]
    # The first trials wait for their processes, which belongs to the startup.
    window = min(WINDOW, trials // 2)
    marks = [10, *range(window, trials + 1, window)]
    rows, rates = [], []
    for low, high in pairwise(marks):
        started, ended = times[low - 1], times[high - 1]
        rates.append((high - low) / (ended - started))
        peak_mib = max((mib for at, mib in memory if started <= at <= ended), default=0.0)
        rows.append((f"{low} to {high}", f"{rates[-1]:.1f}", f"{peak_mib:.0f}"))
    table = Table(
        f"{trials} trials of two tiny epochs, random search",
        ("trials", "trials per second", "driver memory, MiB"),
        rows,
    )
    growth_mib = float(rows[-1][2]) - float(rows[0][2])
    growth_kib_per_trial = 1024 * growth_mib / (trials - window)
    throughput = "throughput of the last 200 trials relative to the first"
    targets = [
        at_least(throughput, rates[-1] / rates[0], 0.9),
        at_most("driver memory growth per trial, KiB", growth_kib_per_trial, 100),
    ]
    return table, targets


def large_leaderboard(folder: Path, repeats: int, trials: int) -> tuple[Table, list[Target]]:
    """Time the command `leaderboard` on a simulated search."""
    search_config = load_search_config(folder / "tiny.yaml")
    info = DataInfo("nowhere", "0", ("a", "b"), 16, {"train": (6, 6)})
    paths = SearchPaths(folder / "large")
    create_search(paths, search_config, DataRecord(info, None, 16, False))
    rng = random.Random(0)
    journal = Journal(paths.journal, writable=True)
    for number in range(trials):
        trial_id = f"{number:04d}"
        params = {"learning_rate": rng.random(), "dropout": rng.random() / 2}
        journal.start_trial(make_trial_spec(trial_id, params))
        for epoch in range(1, rng.choice((4, 4, 4, 4, 4, 4, 12, 12, 36)) + 1):
            metrics = EpochMetrics(epoch, 1.0, 0.5, rng.random(), 0.5, 0.5, 1e-3, 1.0)
            journal.report_epoch(trial_id, metrics, Placement("nowhere/1", "cpu", 1))
        journal.end_trial(trial_id, "stopped")
    journal.close()
    command = ("leaderboard", "large", "--results", str(folder))
    seconds = [measure_seconds(lambda: run_cli(*command)) for _ in range(repeats)]
    lines = paths.journal.read_bytes().count(b"\n")
    row = (str(trials), str(lines), format_median(seconds, "{:.2f}"))
    table = Table("Writing a large leaderboard", ("trials", "events", "seconds"), [row])
    return table, [at_most(f"leaderboard of {trials} trials, s", statistics.median(seconds), 2)]


def sampler_latency(folder: Path, trials: int) -> Table:
    """Time the suggestions of the default searcher as the number of known trials grows."""
    overrides = {"searcher.name": "tpe", "budget.trials": trials}
    sampler = Sampler(load_search_config(folder / "tiny.yaml", options=overrides))
    rng = random.Random(0)
    rows, seconds = [], []
    for number in range(1, trials + 1):
        started = time.perf_counter()
        spec = sampler.suggest()
        seconds.append(time.perf_counter() - started)
        if spec is None:
            raise RuntimeError("the space is continuous and cannot be exhausted")
        sampler.on_trial_complete(_finished_record(spec.trial_id, spec.params, rng))
        if number in (trials // 10, trials // 2, trials):
            rows.append((str(number), f"{1000 * statistics.median(seconds[-50:]):.1f}"))
    return Table("A suggestion of TPE", ("known trials", "ms"), rows)


def _finished_record(trial_id: str, params: dict[str, Scalar], rng: random.Random) -> TrialRecord:
    epochs = tuple(
        EpochMetrics(epoch, 1.0, 0.5, rng.random(), 0.5, 0.5, 1e-3, 1.0)
        for epoch in range(1, rng.choice((1, 1, 2)) + 1)
    )
    config = TrialConfig.from_params(params)
    return TrialRecord(trial_id, config, params, 0, "stopped", epochs, None, "", 0.0, 1.0)


def _quantiles(values: Sequence[float]) -> tuple[str, str, str]:
    ordered = sorted(values)
    percentile_90 = ordered[int(0.9 * len(ordered))]
    return f"{statistics.median(ordered):.1f}", f"{percentile_90:.1f}", f"{ordered[-1]:.1f}"


if __name__ == "__main__":
    sys.exit(main())
