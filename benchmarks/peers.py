"""Comparison with other tools: same space, training function, data, two workers and time.

    pip install -e '.[peers]'
    python benchmarks/peers.py
    python benchmarks/peers.py --seconds 120 --repeats 5 --json peers.json
    python benchmarks/peers.py --methods "handsigns" "handsigns, no baseline"

Each method runs for the same time from its first training step, seed by seed, with the methods
interleaved; startup is reported separately. All train `compact` models on the same synthetic hands
with the same function, two trials at a time on one thread each, or one on two threads (the CS230
search). Each figure is the median over the seeds. handsigns begins with its recommended recipe,
which the other tools do not know; without the baseline it does not, either.

The target is a validation loss that about one in ten random configurations reaches when trained to
the end. A run that never reaches it counts as if it did at the end; where half of a method's runs
do not, a ratio to its time is a lower bound. Losses and times are compared with those of handsigns
seed by seed, by Wilcoxon's signed-rank test, corrected for the number of methods by Holm's method.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import (
    CLI,
    Table,
    Target,
    at_least,
    at_most,
    epoch_start_time,
    epochs,
    finish,
    log_progress,
    make_parser,
    paired_p_values,
    parse,
    process_tree,
    temporary_folder,
    write_synthetic_images,
)

SCRIPTS_DIR = Path(__file__).with_name("peer_methods")
sys.path.insert(0, str(SCRIPTS_DIR))

from objective import NUM_WORKERS, SIZE, SPACE  # noqa: E402

NUM_IMAGES = {"train": 1200, "val": 300, "test": 6}
SMOKE_IMAGES = {"train": 60, "val": 30, "test": 6}
"""Number of images per split in a smoke run."""
TARGET_LOSS = 0.11

HANDSIGNS = "handsigns"
TUTORIAL = "Ray Tune, as in its PyTorch tutorial"
CS230 = "CS230 search"
RANDOM = "random, no early stopping"
NO_BASELINE = "handsigns, no baseline"
"""handsigns without the baseline trial, which otherwise tries the recommended recipe first."""
PEERS = ("Optuna alone", "Syne Tune, ASHA", TUTORIAL, RANDOM, CS230)


@dataclass(frozen=True)
class RunResult:
    """Result of a run of a method.

    Attributes:
        startup_s: seconds from the command to the first training step.
        best: best validation loss after a quarter, half and all of the time.
        time_to_target: seconds from the first training step to the target; None if not reached.
        trials: number of trials with at least one finished epoch.
        epochs: number of epochs trained.
        utilisation: share of the workers' time, of one thread each, that was spent in epochs.
    """

    startup_s: float
    best: tuple[float, float, float]
    time_to_target: float | None
    trials: int
    epochs: int
    utilisation: float

    def capped_time(self, seconds: float) -> float:
        """Return the time to the target, at most the duration of the run."""
        return seconds if self.time_to_target is None else self.time_to_target


def main() -> int:
    """Run all methods, and print the table and targets."""
    parser = make_parser(__doc__ or "", repeats=10)
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of each run")
    parser.add_argument(
        "--target", type=float, default=TARGET_LOSS, help="validation loss to reach"
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=(HANDSIGNS, NO_BASELINE, *PEERS),
        default=(HANDSIGNS, NO_BASELINE, *PEERS),
        help="methods to run",
    )
    args = parse(parser, repeats=1, seconds=2.0)
    results: dict[str, list[RunResult]] = {name: [] for name in args.methods}
    with temporary_folder() as folder:
        log_progress("rendering synthetic hands")
        write_synthetic_images(
            folder / "hands", SMOKE_IMAGES if args.smoke else NUM_IMAGES, SIZE, "png"
        )
        (folder / "space.yaml").write_text(SPACE)
        os.environ["HANDSIGNS_CACHE"] = str(folder / "cache")
        for seed in range(args.repeats):
            for number, name in enumerate(results):
                log_progress(f"seed {seed + 1} of {args.repeats}: {name}")
                log = folder / f"{number}-{seed}.jsonl"
                result = run(name, folder, log, seed, args.seconds, args.target)
                log_progress(f"  {result}")
                results[name].append(result)
    return _report(results, args)


def run(name: str, folder: Path, log: Path, seed: int, seconds: float, target: float) -> RunResult:
    """Run a method with a seed in its own process group, and terminate it when its time is up."""
    command, log = _command(name, folder, log, seed)
    output = folder / "output.txt"
    started = time.time()
    with output.open("w") as file:
        process = subprocess.Popen(
            command, cwd=folder, stdout=file, stderr=file, start_new_session=True
        )
        while not (trained := epochs(log)):
            if process.poll() is not None or time.time() - started > 180:
                _terminate(process)
                raise RuntimeError(f"{name} trained no epoch: {output.read_text()[-2000:]}")
            time.sleep(0.1)
        first_step = min(map(epoch_start_time, trained))
        time.sleep(max(0.0, first_step + seconds - time.time()))
        if process.poll():
            raise RuntimeError(f"{name} failed: {output.read_text()[-2000:]}")
        _terminate(process)
    threads = NUM_WORKERS if name == CS230 else 1
    return _parse_log(epochs(log), started, seconds, target, threads)


def _command(name: str, folder: Path, log: Path, seed: int) -> tuple[list[str], Path]:
    """Return the command of a method, and the path of its log of epochs."""
    scripts = {
        "Optuna alone": "optuna_alone.py",
        "Syne Tune, ASHA": "syne_tune_asha.py",
        TUTORIAL: "ray_tutorial.py",
        CS230: "cs230_search.py",
    }
    data = str(folder / "hands")
    if name in scripts:
        return [sys.executable, str(SCRIPTS_DIR / scripts[name]), data, str(log), str(seed)], log
    arguments = ["search", str(folder / "space.yaml"), "--data", data, "--size", str(SIZE)]
    arguments += ["--seed", str(seed), "--name", log.stem, "--results", str(folder)]
    if name in (NO_BASELINE, RANDOM):
        arguments += ["--set", "baseline=false"]
    if name == RANDOM:
        arguments += ["--set", "searcher.name=random", "--set", "scheduler.name=none"]
    return [*CLI, *arguments], folder / log.stem / "journal.jsonl"


def _terminate(process: subprocess.Popen[bytes]) -> None:
    """Terminate a method's process and all its descendants."""
    descendants = process_tree(process.pid) - {process.pid}
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in descendants:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    time.sleep(1.0)  # until their memory and ports are free


def _parse_log(
    log: list[dict[str, Any]], started: float, seconds: float, target: float, threads: int
) -> RunResult:
    """Evaluate the epochs of a run's log that finished in time, each trained on `threads`."""
    first_step = min(map(epoch_start_time, log))
    in_time = [event for event in log if event["time"] <= first_step + seconds]
    losses = [(event["time"] - first_step, event["metrics"]["val_loss"]) for event in in_time]

    def best(fraction: float) -> float:
        reached = [loss for at, loss in losses if at <= fraction * seconds]
        return min(reached, default=float("nan"))

    training_s = sum(event["metrics"]["epoch_seconds"] for event in in_time)
    return RunResult(
        startup_s=first_step - started,
        best=(best(0.25), best(0.5), best(1.0)),
        time_to_target=min((at for at, loss in losses if loss <= target), default=None),
        trials=len({event["trial_id"] for event in in_time}),
        epochs=len(in_time),
        utilisation=threads * training_s / (NUM_WORKERS * seconds),
    )


def _report(results: dict[str, list[RunResult]], args: argparse.Namespace) -> int:
    rows = []
    repeats = max(map(len, results.values()))
    medians: dict[str, dict[str, float]] = {}
    for name, runs in results.items():
        times = [run.capped_time(args.seconds) for run in runs]
        reached = sum(r.time_to_target is not None for r in runs)
        median = {
            **{
                f"loss at {share}": statistics.median(r.best[k] for r in runs)
                for k, share in enumerate(("25 %", "50 %", "100 %"))
            },
            "time to target": statistics.median(times),
            "trials": statistics.median(r.trials for r in runs),
            "epochs": statistics.median(r.epochs for r in runs),
            "worker utilisation": statistics.median(r.utilisation for r in runs),
            "startup": statistics.median(r.startup_s for r in runs),
        }
        medians[name] = median
        final_losses = sorted(r.best[2] for r in runs)
        rows.append(
            (
                name,
                *(f"{median[f'loss at {share}']:.3f}" for share in ("25 %", "50 %")),
                f"{median['loss at 100 %']:.3f} [{final_losses[0]:.3f} to {final_losses[-1]:.3f}]",
                f"{median['time to target']:.0f} ({reached} of {len(runs)})",
                f"{median['trials']:.0f}",
                f"{median['epochs']:.0f}",
                f"{median['worker utilisation']:.0%}",
                f"{median['startup']:.1f}",
            )
        )
    table = Table(
        f"{repeats} seeds, {args.seconds:g} s each from the first training step, "
        f"{NUM_WORKERS} workers, target loss {args.target}",
        ("method", "loss at 25 %", "at 50 %", "at 100 % [range]", "time to target, s (reached)",
         "trials", "epochs", "worker utilisation", "startup, s"),
        rows,
    )  # fmt: skip
    return finish([table, *_paired(results, args.seconds)], _targets(medians), args)


def _paired(results: dict[str, list[RunResult]], seconds: float) -> list[Table]:
    """Return a table of the paired differences from handsigns; none without another method."""
    others = [name for name in results if name != HANDSIGNS]
    if HANDSIGNS not in results or not others:
        return []
    values: tuple[Callable[[RunResult], float], ...] = (
        lambda run: run.best[2],
        lambda run: run.capped_time(seconds),
    )
    columns = []
    for value in values:
        ours = [value(run) for run in results[HANDSIGNS]]
        theirs = {name: [value(run) for run in results[name]] for name in others}
        p_values = paired_p_values(ours, theirs)
        columns.append(
            {
                name: (
                    f"{sum(a < b for a, b in zip(ours, theirs[name], strict=True))} of {len(ours)}",
                    f"{p_values[name]:.2g}" if name in p_values else "",
                )
                for name in others
            }
        )
    losses, times = columns
    return [
        Table(
            "handsigns against each method, with the same seeds",
            ("method", "lower loss at 100 %", "p", "sooner at the target", "p"),
            [(name, *losses[name], *times[name]) for name in others],
        )
    ]


def _targets(medians: dict[str, dict[str, float]]) -> list[Target]:
    """Compare handsigns with the best peer in every column, and with two peers in speed."""
    if not medians.keys() >= {HANDSIGNS, *PEERS}:
        return []  # the best peer may be missing
    ours = medians[HANDSIGNS]
    peers = {name: medians[name] for name in PEERS}
    targets = []
    for column in ("loss at 25 %", "loss at 50 %", "loss at 100 %", "time to target"):
        best = min(figures[column] for figures in peers.values())
        targets.append(at_most(f"{column}, relative to the best peer", ours[column] / best, 1.0))
    for column in ("trials", "epochs", "worker utilisation"):
        most = max(figures[column] for figures in peers.values())
        name = f"{column}, relative to the highest of a peer"
        targets.append(at_least(name, ours[column] / most, 1.0))
    for peer, factor in ((TUTORIAL, 3.0), (CS230, 10.0)):
        speedup = medians[peer]["time to target"] / ours["time to target"]
        targets.append(at_least(f"speed-up of time to target over {peer}", speedup, factor))
    return targets


if __name__ == "__main__":
    sys.exit(main())
