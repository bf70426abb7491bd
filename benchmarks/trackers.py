"""What trackers cost: a report in the search's thread, and an epoch in theirs.

    python benchmarks/trackers.py [--trials 1000] [--epochs 36] [optuna tensorboard mlflow wandb]

A played search, without Ray. `put` is what the search's own thread spends on an epoch, which is the
same for every tracker; `whole` is a tracker's processor time for the whole search handed over at
once, as by `track`; `following` is what it spends on an epoch of a running search when each is
handed over by itself.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from handsigns.config.check import check_study
from handsigns.data.splits import DataInfo
from handsigns.search.journal import Journal
from handsigns.search.paths import SearchPaths
from handsigns.search.record import Placement, Session
from handsigns.search.tracking.choose import TOOLS, make_tracker
from handsigns.search.tracking.dispatch import hand_on, tracking
from handsigns.search.tracking.tracker import TrackedSearch
from handsigns.training.metrics import EpochMetrics

SPACE = {
    "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1},
    "dropout": {"type": "uniform", "low": 0.0, "high": 0.5},
    "batch_size": {"type": "choice", "values": [8, 16]},
}
HERE = Placement("laptop/1", "cpu", 1)
FOLLOWED = 50
"""Epochs that are handed over one by one."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tools", nargs="*", default=["optuna", *TOOLS])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=36)
    options = parser.parse_args()
    for tool in options.tools:
        with tempfile.TemporaryDirectory() as folder:
            search, journal = _play(Path(folder), options.trials, options.epochs)
            print(f"{tool}: {_measured(tool, search, journal, options.epochs)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        search, journal = _play(Path(folder), options.trials, options.epochs)
        print(f"put: {_put(search, journal):.1f} µs an epoch in the search's thread")


def _play(folder: Path, trials: int, epochs: int) -> tuple[TrackedSearch, Journal]:
    study, problems = check_study({"space": SPACE, "budget": {"max_epochs": 10 * epochs}})
    assert study is not None, problems
    paths = SearchPaths(folder / "played")
    paths.root.mkdir()
    journal = Journal(paths.journal, study.seed, writable=True)
    journal.open_session(Session("f" * 32, {}))
    for number in range(trials):
        trial_id = f"{number:04d}"
        learning_rate = 1e-3 * (1 + number / trials)
        journal.begin(trial_id, {"learning_rate": learning_rate, "dropout": 0.1, "batch_size": 8})
        _train(journal, trial_id, epochs)
        journal.end(trial_id, "completed")
    info = DataInfo("bands", "f" * 32, ("high", "low"), 16, {"train": (4, 4)})
    return TrackedSearch(paths, study, info), journal


def _train(journal: Journal, trial_id: str, epochs: int) -> None:
    done = len(journal[trial_id].epochs)
    for epoch in range(done + 1, done + epochs + 1):
        metrics = EpochMetrics(epoch, 0.7, 0.6, 1 / epoch, 0.5, 0.5, 1e-3, 1.0)
        journal.report(trial_id, metrics, HERE)


def _measured(tool: str, search: TrackedSearch, journal: Journal, epochs: int) -> str:
    records = journal.records
    begun, tracker = time.process_time(), make_tracker(tool, search)
    loaded = time.process_time() - begun
    begun, wall = time.process_time(), time.monotonic()
    tracker.open(records)
    hand_on(tracker, records)
    whole, waited = time.process_time() - begun, time.monotonic() - wall
    trial_id = f"{len(records):04d}"
    journal.begin(trial_id, {"learning_rate": 1e-3, "dropout": 0.2, "batch_size": 16})
    hand_on(tracker, [journal[trial_id]])
    begun = time.process_time()
    for _ in range(FOLLOWED):
        _train(journal, trial_id, 1)
        hand_on(tracker, [journal[trial_id]])
    following = (time.process_time() - begun) / FOLLOWED
    tracker.close(journal.records)
    return (
        f"loading {loaded:.1f} s; whole: {len(records)} trials of {epochs} epochs in {whole:.1f} s "
        f"of a core, {waited:.1f} s in all; following: {1000 * following:.2f} ms an epoch"
    )


def _put(search: TrackedSearch, journal: Journal) -> float:
    """Microseconds, with Optuna's mirror at work in its thread."""
    record = journal.records[-1]
    with tracking(search, journal, print) as observer:
        time.sleep(5)
        begun = time.perf_counter()
        for _ in range(10_000):
            observer.trained(record)
        return (time.perf_counter() - begun) / 10_000 * 1e6


if __name__ == "__main__":
    main()
