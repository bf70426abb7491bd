"""How long until something happens: the first training step of a search, and the quick commands.

    python benchmarks/startup.py
    python benchmarks/startup.py --repeats 9 --json startup.json

A search's start is the time from its command to its first training step. The floor beside it is a
bare script that starts Ray, one worker, and imports torch there. Beside both: a bare script that
has Ray Tune run two trials which import torch. The three take turns.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
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
    ratios,
    tell,
    timed,
    tune,
    workplace,
)

FLOOR = """
import time
import ray

ray.init(include_dashboard=False, log_to_driver=False)

@ray.remote
def load():
    import torch
    return time.time()

print(ray.get(load.remote()))
"""

TUNE_FLOOR = """
import time
from ray import tune

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
AT_ONCE, SOON = 0.5, 1.5
"""Seconds that help and errors may take, and the others."""


def main() -> int:
    """Measure, print, and write the aims."""
    chosen = options(__doc__ or "", repeats=5).parse_args()
    starts: dict[str, list[float]] = {name: [] for name in STARTS}
    with workplace() as results:
        tell("drawing hands, once")
        _run("run", "quick", "--dry-run", results=results)
        for repeat in range(chosen.repeats):
            tell(f"search {repeat + 1} of {chosen.repeats}")
            name = "first" if repeat == 0 else f"search-{repeat}"
            each = (_script(FLOOR), _script(TUNE_FLOOR), *_search(results, name))
            for start, measured in zip(STARTS, each, strict=True):
                starts[start].append(measured)
        latencies = {}
        for what, command in QUICK.items():
            tell(f"{what}, {2 * chosen.repeats} times")
            runs = range(2 * chosen.repeats)
            latencies[what] = [timed(lambda: _run(*command, results=results)) for _ in runs]  # noqa: B023
    return _report(starts, latencies, chosen.json)


def _report(
    starts: dict[str, list[float]], latencies: dict[str, list[float]], json_file: Path | None
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
    return finish([slow, quick], aims, json_file)


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
    _run(
        "search", "quick", "--trials", "2", "--max-epochs", "2", "--name", name, results=results
    )  # fmt: skip
    steps: dict[str, float] = {}
    for event in epochs(results / name / "journal.jsonl"):
        steps.setdefault(event["trial_id"], epoch_begin(event) - begun)
    first, *later = sorted(steps.values())
    return first, later[-1]


def _run(*command: str, results: Path) -> None:
    """Run one of our commands, whatever its exit status."""
    where = () if command[0].startswith("-") else ("--results", str(results))
    tune(*command, *where, check=False)


if __name__ == "__main__":
    sys.exit(main())
