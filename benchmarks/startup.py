"""How long until something happens: the first training step of a search, and the quick commands.

    python benchmarks/startup.py
    python benchmarks/startup.py --repeats 9 --json startup.json

A search's start is the time from its command to its first training step. The floor beside it is a
bare script that starts Ray, one worker, and imports torch there. Beside both: a bare script that
has Ray Tune run two trials which import torch. The three take turns.
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
    Aim,
    Table,
    at_most,
    epoch_begin,
    epochs,
    finish,
    middle,
    options,
    parse,
    ratios,
    tell,
    timed,
    tune,
    workplace,
)

FLOOR = """
import time
import ray

ray.init("local", include_dashboard=False, log_to_driver=False)

@ray.remote
def load():
    import torch
    return time.time()

print(ray.get(load.remote()))
"""

TUNE_FLOOR = """
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
"""What Ray Tune itself needs until two trials have torch."""

STARTS = ("floor: Ray, one worker, torch", "bare Ray Tune, two trials, torch",
          "search, its first slot", "search, its second slot")  # fmt: skip

QUICK = {
    "--help": ("--help",),
    "an unknown space": ("run", "no-such-space"),
    "a wrong value": ("run", "quick", "--set", "space.dropout=9"),
    "an unknown search": ("leaderboard", "no-such-search"),
    "run --dry-run": ("run", "quick", "--dry-run"),
    "leaderboard": ("leaderboard", "first"),
    "list": ("list",),
}
FAILS = {"an unknown space": 2, "a wrong value": 2, "an unknown search": 2}
"""Their exit status."""
AT_ONCE, SOON = 0.5, 1.5
"""Seconds that help and errors may take, and the others."""


def main() -> int:
    """Measure, print, and write the aims."""
    chosen = parse(options(__doc__ or "", repeats=5), repeats=1)
    starts: dict[str, list[float]] = {name: [] for name in STARTS}
    with workplace() as results:
        tell("drawing hands, once")
        _run(("run", "quick", "--dry-run"), results)
        for repeat in range(chosen.repeats):
            tell(f"search {repeat + 1} of {chosen.repeats}")
            name = "first" if repeat == 0 else f"search-{repeat}"
            each = (_script(FLOOR), _script(TUNE_FLOOR), *_search(results, name))
            for start, measured in zip(STARTS, each, strict=True):
                starts[start].append(measured)
        latencies = {}
        for what, command in QUICK.items():
            tell(f"{what}, {2 * chosen.repeats} times")
            work = partial(_run, command, results, status=FAILS.get(what, 0))
            latencies[what] = [timed(work) for _ in range(2 * chosen.repeats)]
    return _report(starts, latencies, chosen)


def _report(
    starts: dict[str, list[float]], latencies: dict[str, list[float]], chosen: argparse.Namespace
) -> int:
    floors = starts[STARTS[0]]
    firsts = starts[STARTS[2]]
    slow = Table(
        "From the command to the first training step",
        ("", "seconds", "to the floor"),
        [
            (name, middle(values, "{:.1f}"), middle(ratios(values, floors), "{:.2f}"))
            for name, values in starts.items()
        ],
    )
    quick = Table(
        "Quick commands, the whole process",
        ("", "seconds", "aim"),
        [(w, middle(v, "{:.2f}"), f"{_allowed(w)}") for w, v in latencies.items()],
    )
    aims: list[Aim] = [
        at_most("start of a search to the floor", statistics.median(ratios(firsts, floors)), 1.25),
        *(at_most(f"{w}, s", statistics.median(v), _allowed(w)) for w, v in latencies.items()),
    ]
    return finish([slow, quick], aims, chosen)


def _allowed(what: str) -> float:
    return SOON if what in ("run --dry-run", "leaderboard", "list") else AT_ONCE


def _script(text: str) -> float:
    """Seconds from the start of a script to the time that it prints."""
    begun = time.time()
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=300
    )
    return float(done.stdout.split()[-1]) - begun


def _search(results: Path, name: str) -> tuple[float, float]:
    """Seconds to the first training step in the first slot and in the second."""
    begun = time.time()
    _run(("search", "quick", "--trials", "2", "--max-epochs", "2", "--name", name), results)
    steps: dict[str, float] = {}
    for event in epochs(results / name / "journal.jsonl"):
        steps.setdefault(event["trial_id"], epoch_begin(event) - begun)
    first, *later = sorted(steps.values())
    return first, later[-1]


def _run(command: Sequence[str], results: Path, status: int = 0) -> None:
    """Run one of our commands, which must exit with that status."""
    where = () if command[0].startswith("-") else ("--results", str(results))
    tune(*command, *where, status=status)


if __name__ == "__main__":
    sys.exit(main())
