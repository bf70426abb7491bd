"""This search beside its peers: the same space, training function, data, two slots and time.

    pip install -e '.[peers]'
    python benchmarks/peers.py
    python benchmarks/peers.py --seconds 120 --repeats 10 --json peers.json
    python benchmarks/peers.py --methods "this search" "this search, the recipe not first"

Each method runs for as long from its first training step on, seed after seed, the methods in turns;
what it needs until that step is told apart. All train `compact` networks on the same drawn hands by
the same function on one thread a trial. A column's figure is the median of the seeds.

The target is a validation loss that about one in ten random configurations reaches when trained to
the end. A method that never reaches it counts as if it did at the end, so that a ratio to it
is a lower bound.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import (
    TUNE,
    Aim,
    Table,
    at_least,
    at_most,
    draw_pictures,
    epoch_begin,
    epochs,
    family,
    finish,
    options,
    parse,
    tell,
    workplace,
)

METHODS = Path(__file__).with_name("peer_methods")
sys.path.insert(0, str(METHODS))

from objective import SIZE, SPACE  # noqa: E402

PICTURES = {"train": 1200, "val": 300, "test": 6}
FEW = {"train": 60, "val": 30, "test": 6}
"""Of a smoke run."""
TARGET = 0.11
SLOTS = 2

OURS = "this search"
TUTORIAL = "Ray Tune, as its PyTorch tutorial"
COURSE = "the course's way"
RANDOM = "random, no early stopping"
BARE = "this search, the recipe not first"
"""Ours begins with the recommended hyperparameters; what that is worth can be asked for."""
PEERS = ("Optuna alone", "Syne Tune, ASHA", TUTORIAL, RANDOM, COURSE)


@dataclass(frozen=True)
class Outcome:
    """What a method came to in its time.

    Attributes:
        start: seconds from its command to its first training step.
        best: the best validation loss after a quarter, half and all of the time.
        target: seconds from its first training step to the target; None if it was never reached.
        trials: begun, as far as an epoch of theirs ended.
        epochs: trained.
        used: share of the slots' time that was spent in epochs.
    """

    start: float
    best: tuple[float, float, float]
    target: float | None
    trials: int
    epochs: int
    used: float


def main() -> int:
    """Run all, print, and write the aims."""
    parser = options(__doc__ or "", repeats=5)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each run")
    parser.add_argument("--target", type=float, default=TARGET, help="validation loss to reach")
    parser.add_argument(
        "--methods", nargs="+", choices=(OURS, *PEERS, BARE), default=(OURS, *PEERS), help="which"
    )
    chosen = parse(parser, repeats=1, seconds=2.0)
    found: dict[str, list[Outcome]] = {name: [] for name in chosen.methods}
    with workplace() as folder:
        tell("drawing hands")
        draw_pictures(folder / "hands", FEW if chosen.smoke else PICTURES, SIZE, "png")
        (folder / "space.yaml").write_text(SPACE)
        os.environ["HANDSIGNS_CACHE"] = str(folder / "cache")
        for seed in range(chosen.repeats):
            for number, name in enumerate(found):
                tell(f"seed {seed + 1} of {chosen.repeats}: {name}")
                log = folder / f"{number}-{seed}.jsonl"
                outcome = run(name, folder, log, seed, chosen.seconds, chosen.target)
                tell(f"  {outcome}")
                found[name].append(outcome)
    return _report(found, chosen.seconds, chosen.target, chosen)


def run(name: str, folder: Path, log: Path, seed: int, seconds: float, target: float) -> Outcome:
    """One method, one seed, in a process group of its own, ended when its time is up."""
    command, log = _command(name, folder, log, seed)
    output = folder / "output.txt"
    begun = time.time()
    with output.open("w") as file:
        process = subprocess.Popen(
            command, cwd=folder, stdout=file, stderr=file, start_new_session=True
        )
        while not (known := epochs(log)):
            if process.poll() is not None or time.time() - begun > 180:
                _end(process)
                raise RuntimeError(f"{name} trained nothing: {output.read_text()[-2000:]}")
            time.sleep(0.1)
        first = min(map(epoch_begin, known))
        time.sleep(max(0.0, first + seconds - time.time()))
        if process.poll():
            raise RuntimeError(f"{name} failed: {output.read_text()[-2000:]}")
        _end(process)
    return _outcome(epochs(log), begun, seconds, target)


def _command(name: str, folder: Path, log: Path, seed: int) -> tuple[list[str], Path]:
    """What to run, and where its epochs are logged."""
    scripts = {
        "Optuna alone": "optuna_alone.py",
        "Syne Tune, ASHA": "syne_tune_asha.py",
        TUTORIAL: "ray_tutorial.py",
        COURSE: "course_way.py",
    }
    data = str(folder / "hands")
    if name in scripts:
        return [sys.executable, str(METHODS / scripts[name]), data, str(log), str(seed)], log
    arguments = ["search", str(folder / "space.yaml"), "--data", data, "--size", str(SIZE)]
    arguments += ["--seed", str(seed), "--name", log.stem, "--results", str(folder)]
    if name == BARE:
        arguments += ["--set", "baseline=false"]
    if name == RANDOM:
        arguments += ["--set", "searcher.name=random", "--set", "scheduler.name=none"]
    return [*TUNE, *arguments], folder / log.stem / "journal.jsonl"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a method and all that it started."""
    started = family(process.pid) - {process.pid}
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    time.sleep(1.0)  # their memory and ports are free again


def _outcome(log: list[dict[str, Any]], begun: float, seconds: float, target: float) -> Outcome:
    """What the log of a run says, of the time that counts."""
    first = min(map(epoch_begin, log))
    in_time = [event for event in log if event["time"] <= first + seconds]
    losses = [(event["time"] - first, event["metrics"]["val_loss"]) for event in in_time]

    def best(share: float) -> float:
        reached = [loss for at, loss in losses if at <= share * seconds]
        return min(reached, default=float("nan"))

    return Outcome(
        start=first - begun,
        best=(best(0.25), best(0.5), best(1.0)),
        target=min((at for at, loss in losses if loss <= target), default=None),
        trials=len({event["trial_id"] for event in in_time}),
        epochs=len(in_time),
        used=sum(event["metrics"]["epoch_seconds"] for event in in_time) / (SLOTS * seconds),
    )


def _report(
    found: dict[str, list[Outcome]], seconds: float, target: float, chosen: argparse.Namespace
) -> int:
    rows = []
    repeats = max(map(len, found.values()))
    columns: dict[str, dict[str, float]] = {}
    for name, outcomes in found.items():
        times = [seconds if o.target is None else o.target for o in outcomes]
        reached = sum(o.target is not None for o in outcomes)
        middle = {
            **{
                f"loss at {share}": statistics.median(o.best[k] for o in outcomes)
                for k, share in enumerate(("25 %", "50 %", "100 %"))
            },
            "s to target": statistics.median(times),
            "trials": statistics.median(o.trials for o in outcomes),
            "epochs": statistics.median(o.epochs for o in outcomes),
            "used": statistics.median(o.used for o in outcomes),
            "start, s": statistics.median(o.start for o in outcomes),
        }
        columns[name] = middle
        finals = sorted(o.best[2] for o in outcomes)
        rows.append(
            (
                name,
                *(f"{middle[f'loss at {share}']:.3f}" for share in ("25 %", "50 %")),
                f"{middle['loss at 100 %']:.3f} [{finals[0]:.3f} to {finals[-1]:.3f}]",
                f"{middle['s to target']:.0f} ({reached} of {len(outcomes)})",
                f"{middle['trials']:.0f}",
                f"{middle['epochs']:.0f}",
                f"{middle['used']:.0%}",
                f"{middle['start, s']:.1f}",
            )
        )
    table = Table(
        f"{repeats} seeds, {seconds:g} s each from the first training step, {SLOTS} slots, "
        f"target {target}",
        ("method", "loss at 25 %", "at 50 %", "at 100 % [spread]", "s to target (reached)",
         "trials", "epochs", "slots in epochs", "start, s"),
        rows,
    )  # fmt: skip
    return finish([table], _aims(columns), chosen)


def _aims(columns: dict[str, dict[str, float]]) -> list[Aim]:
    """Ours beside the best peer in every column, and the two ways that it is to leave behind."""
    if not columns.keys() >= {OURS, *PEERS}:
        return []  # a part says nothing about the best of all
    ours = columns[OURS]
    peers = {name: columns[name] for name in PEERS}
    aims = []
    for column in ("loss at 25 %", "loss at 50 %", "loss at 100 %", "s to target"):
        best = min(figures[column] for figures in peers.values())
        aims.append(at_most(f"{column}, to the best peer's", ours[column] / best, 1.0))
    for column in ("trials", "epochs", "used"):
        best = max(figures[column] for figures in peers.values())
        aims.append(at_least(f"{column}, to the most of a peer", ours[column] / best, 1.0))
    for name, times in ((TUTORIAL, 3.0), (COURSE, 10.0)):
        gain = columns[name]["s to target"] / ours["s to target"]
        aims.append(at_least(f"times as fast to the target as {name}", gain, times))
    return aims


if __name__ == "__main__":
    sys.exit(main())
