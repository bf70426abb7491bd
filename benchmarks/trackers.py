"""Overhead of experiment trackers, in the search's thread and in their own.

    python benchmarks/trackers.py
    python benchmarks/trackers.py optuna tensorboard --trials 1000

Measured on a simulated search, without Ray: the latency of an epoch's report in the search's own
thread, which is the same for every tracker; a tracker's CPU time to load, to export a whole search
at once, as `track` does, and to log an epoch of a running search.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from harness import Table, at_most, finish, log_progress, make_parser, make_trial_spec, parse

from handsigns.config.validate import validate_search_config
from handsigns.data.splits import DataInfo
from handsigns.metrics import EpochMetrics
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.trial import Placement, Session
from handsigns.tracking.background import tracking, update_tracker
from handsigns.tracking.base import TrackedSearch
from handsigns.tracking.registry import TRACKERS, make_tracker

SPACE = {
    "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1},
    "dropout": {"type": "uniform", "low": 0.0, "high": 0.5},
    "batch_size": {"type": "choice", "values": [8, 16]},
}
PLACEMENT = Placement("laptop/1", "cpu", 1)
NUM_STREAMED_EPOCHS = 50
"""Number of epochs that are logged one by one."""


def main() -> int:
    """Measure and print the table and targets."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("tools", nargs="*", default=["optuna", *TRACKERS], help="trackers")
    parser.add_argument("--trials", type=int, default=100, help="trials of the search")
    parser.add_argument("--epochs", type=int, default=36, help="epochs of each trial")
    args = parse(parser, trials=2, epochs=3)
    rows = []
    for tool in args.tools:
        log_progress(tool)
        with tempfile.TemporaryDirectory() as folder:
            search, journal = _simulate_search(Path(folder), args.trials, args.epochs)
            rows.append((tool, *_measure(tool, search, journal)))
    with tempfile.TemporaryDirectory() as folder:
        latency = _observer_latency_us(*_simulate_search(Path(folder), args.trials, args.epochs))
    title = f"CPU time of trackers, {args.trials} trials of {args.epochs} epochs"
    columns = ("tracker", "loading, s", "export, s", "logging, ms per epoch")
    targets = [at_most("latency of a report in the search's thread, µs", latency, 100)]
    return finish([Table(title, columns, rows)], targets, args)


def _simulate_search(folder: Path, trials: int, epochs: int) -> tuple[TrackedSearch, Journal]:
    search_config, problems = validate_search_config(
        {"space": SPACE, "budget": {"max_epochs": 10 * epochs}}
    )
    assert search_config is not None, problems
    paths = SearchPaths(folder / "simulated")
    paths.root.mkdir()
    journal = Journal(paths.journal, writable=True)
    journal.start_session(Session("f" * 32, {}))
    for number in range(trials):
        trial_id = f"{number:04d}"
        learning_rate = 1e-3 * (1 + number / trials)
        params = {"learning_rate": learning_rate, "dropout": 0.1, "batch_size": 8}
        journal.start_trial(make_trial_spec(trial_id, params))
        _report_epochs(journal, trial_id, epochs)
        journal.end_trial(trial_id, "completed")
    info = DataInfo("bands", "f" * 32, ("high", "low"), 16, {"train": (4, 4)})
    return TrackedSearch(paths, search_config, info), journal


def _report_epochs(journal: Journal, trial_id: str, epochs: int) -> None:
    previous = len(journal[trial_id].epochs)
    for epoch in range(previous + 1, previous + epochs + 1):
        metrics = EpochMetrics(epoch, 0.7, 0.6, 1 / epoch, 0.5, 0.5, 1e-3, 1.0)
        journal.report_epoch(trial_id, metrics, PLACEMENT)


def _measure(tool: str, search: TrackedSearch, journal: Journal) -> tuple[str, str, str]:
    records = journal.records
    started, tracker = time.process_time(), make_tracker(tool, search)
    loading = time.process_time() - started
    started = time.process_time()
    tracker.open(records)
    update_tracker(tracker, records)
    export = time.process_time() - started
    trial_id = f"{len(records):04d}"
    journal.start_trial(
        make_trial_spec(trial_id, {"learning_rate": 1e-3, "dropout": 0.2, "batch_size": 16})
    )
    update_tracker(tracker, [journal[trial_id]])
    started = time.process_time()
    for _ in range(NUM_STREAMED_EPOCHS):
        _report_epochs(journal, trial_id, 1)
        update_tracker(tracker, [journal[trial_id]])
    per_epoch = (time.process_time() - started) / NUM_STREAMED_EPOCHS
    tracker.close(journal.records)
    return f"{loading:.1f}", f"{export:.1f}", f"{1000 * per_epoch:.2f}"


def _observer_latency_us(search: TrackedSearch, journal: Journal) -> float:
    """Return the microseconds per report while the Optuna tracker runs in its thread."""
    record = journal.records[-1]
    with tracking(search, ("optuna",), journal, print) as observer:
        time.sleep(5)
        started = time.perf_counter()
        for _ in range(10_000):
            observer.on_epoch(record)
        return (time.perf_counter() - started) / 10_000 * 1e6


if __name__ == "__main__":
    raise SystemExit(main())
