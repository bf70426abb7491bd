"""Startup latency of a search and of the quick commands.

    python benchmarks/startup.py
    python benchmarks/startup.py --repeats 9 --json startup.json

The startup of a search is the time from the command to the first training step. It is compared with
a floor, a bare script that starts Ray with one worker and imports torch there, and with a bare
script in which Ray Tune runs two trials that import torch. The three are interleaved.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from harness import (
    Table,
    Target,
    at_most,
    epoch_start_time,
    epochs,
    finish,
    format_median,
    log_progress,
    make_parser,
    measure_seconds,
    parse,
    ratios,
    run_cli,
    temporary_folder,
)

RAY_ONLY_SCRIPT = """
import time
import ray

ray.init("local", include_dashboard=False, log_to_driver=False)

@ray.remote
def load():
    import torch
    return time.time()

print(ray.get(load.remote()))
"""

RAY_TUNE_SCRIPT = """
import time
import ray
from ray import tune

ray.init("local")

def train(config):
    import torch
    tune.report({"time": time.time()})

results = tune.Tuner(train, tune_config=tune.TuneConfig(num_samples=2)).fit()
print(min(result.metrics["time"] for result in results))
"""
"""Bare Ray Tune script with two trials that import torch."""

STARTS = ("floor: Ray, one worker, torch", "bare Ray Tune, two trials, torch",
          "search, first worker", "search, second worker")  # fmt: skip

QUICK_COMMANDS = {
    "--help": ("--help",),
    "an unknown space": ("run", "no-such-space"),
    "a wrong value": ("run", "quick", "--set", "space.dropout=9"),
    "an unknown search": ("leaderboard", "no-such-search"),
    "run --dry-run": ("run", "quick", "--dry-run"),
    "leaderboard": ("leaderboard", "first"),
    "list": ("list",),
}
EXPECTED_EXIT_STATUS = {"an unknown space": 2, "a wrong value": 2, "an unknown search": 2}
"""Exit status of the commands that fail."""
ERROR_LIMIT_S, COMMAND_LIMIT_S = 0.5, 1.5
"""Time limits of help and errors, and of the other commands."""


def main() -> int:
    """Measure and print the tables and targets."""
    args = parse(make_parser(__doc__ or "", repeats=5), repeats=1)
    starts: dict[str, list[float]] = {name: [] for name in STARTS}
    with temporary_folder() as results:
        log_progress("rendering synthetic hands, once")
        _run(("run", "quick", "--dry-run"), results)
        for repeat in range(args.repeats):
            log_progress(f"search {repeat + 1} of {args.repeats}")
            name = "first" if repeat == 0 else f"search-{repeat}"
            seconds = (_script(RAY_ONLY_SCRIPT), _script(RAY_TUNE_SCRIPT), *_search(results, name))
            for start, value in zip(STARTS, seconds, strict=True):
                starts[start].append(value)
        latencies = {}
        for label, command in QUICK_COMMANDS.items():
            log_progress(f"{label}, {2 * args.repeats} times")
            work = partial(_run, command, results, status=EXPECTED_EXIT_STATUS.get(label, 0))
            latencies[label] = [measure_seconds(work) for _ in range(2 * args.repeats)]
    return _report(starts, latencies, args)


def _report(
    starts: dict[str, list[float]], latencies: dict[str, list[float]], args: argparse.Namespace
) -> int:
    floors = starts[STARTS[0]]
    first_workers = starts[STARTS[2]]
    startup = Table(
        "From the command to the first training step",
        ("", "seconds", "relative to the floor"),
        [
            (name, format_median(values, "{:.1f}"), format_median(ratios(values, floors), "{:.2f}"))
            for name, values in starts.items()
        ],
    )
    quick = Table(
        "Quick commands, the whole process",
        ("", "seconds", "target"),
        [(c, format_median(v, "{:.2f}"), f"{_time_limit(c)}") for c, v in latencies.items()],
    )
    startup_ratio = statistics.median(ratios(first_workers, floors))
    targets: list[Target] = [
        at_most("start of a search relative to the floor", startup_ratio, 1.25),
        *(at_most(f"{c}, s", statistics.median(v), _time_limit(c)) for c, v in latencies.items()),
    ]
    return finish([startup, quick], targets, args)


def _time_limit(label: str) -> float:
    return COMMAND_LIMIT_S if label in ("run --dry-run", "leaderboard", "list") else ERROR_LIMIT_S


def _script(text: str) -> float:
    """Return the seconds from the start of a script to the time that it prints."""
    started = time.time()
    completed = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=300
    )
    return float(completed.stdout.split()[-1]) - started


def _search(results: Path, name: str) -> tuple[float, float]:
    """Return the seconds to the first training step of the first and of the second worker."""
    started = time.time()
    _run(("search", "quick", "--trials", "2", "--max-epochs", "2", "--name", name), results)
    steps: dict[str, float] = {}
    for event in epochs(results / name / "journal.jsonl"):
        steps.setdefault(event["trial_id"], epoch_start_time(event) - started)
    first, *later = sorted(steps.values())
    return first, later[-1]


def _run(command: Sequence[str], results: Path, status: int = 0) -> None:
    """Run a command of the handsigns CLI, and check its exit status."""
    location = () if command[0].startswith("-") else ("--results", str(results))
    run_cli(*command, *location, status=status)


if __name__ == "__main__":
    sys.exit(main())
