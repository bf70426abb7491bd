"""What trackers cost: a report in the search's thread, and an epoch in theirs.

    python benchmarks/trackers.py
    python benchmarks/trackers.py optuna tensorboard --trials 1000

A played search, without Ray. `put` is what the search's own thread spends on an epoch, which is the
same for every tracker; `whole` is a tracker's processor time for the whole search handed over at
once, as by `track`; `following` is what it spends on an epoch of a running search when each is
handed over by itself.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from harness import Table, at_most, finish, options, parse, spec, tell

from handsigns.config.validate import check_study
from handsigns.data.splits import DataInfo
from handsigns.metrics import EpochMetrics
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.trial import Placement, Session
from handsigns.tracking.base import TrackedSearch
from handsigns.tracking.registry import TOOLS, make_tracker
from handsigns.tracking.worker import hand_on, tracking

SPACE = {
    "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1},
    "dropout": {"type": "uniform", "low": 0.0, "high": 0.5},
    "batch_size": {"type": "choice", "values": [8, 16]},
}
HERE = Placement("laptop/1", "cpu", 1)
FOLLOWED = 50
"""Epochs that are handed over one by one."""


def main() -> int:
    """Measure and print."""
    parser = options(__doc__ or "")
    parser.add_argument("tools", nargs="*", default=["optuna", *TOOLS], help="which to measure")
    parser.add_argument("--trials", type=int, default=100, help="of the search")
    parser.add_argument("--epochs", type=int, default=36, help="of each trial")
    chosen = parse(parser, trials=2, epochs=3)
    rows = []
    for tool in chosen.tools:
        tell(tool)
        with tempfile.TemporaryDirectory() as folder:
            search, journal = _play(Path(folder), chosen.trials, chosen.epochs)
            rows.append((tool, *_measured(tool, search, journal)))
    with tempfile.TemporaryDirectory() as folder:
        put = _put(*_play(Path(folder), chosen.trials, chosen.epochs))
    what = f"Processor time of trackers, {chosen.trials} trials of {chosen.epochs} epochs"
    columns = ("tool", "loading, s", "whole, s", "following, ms an epoch")
    aims = [at_most("an epoch in the search's own thread, µs", put, 100)]
    return finish([Table(what, columns, rows)], aims, chosen)


def _play(folder: Path, trials: int, epochs: int) -> tuple[TrackedSearch, Journal]:
    study, problems = check_study({"space": SPACE, "budget": {"max_epochs": 10 * epochs}})
    assert study is not None, problems
    paths = SearchPaths(folder / "played")
    paths.root.mkdir()
    journal = Journal(paths.journal, writable=True)
    journal.open_session(Session("f" * 32, {}))
    for number in range(trials):
        trial_id = f"{number:04d}"
        learning_rate = 1e-3 * (1 + number / trials)
        params = {"learning_rate": learning_rate, "dropout": 0.1, "batch_size": 8}
        journal.start(spec(trial_id, params))
        _train(journal, trial_id, epochs)
        journal.end(trial_id, "completed")
    info = DataInfo("bands", "f" * 32, ("high", "low"), 16, {"train": (4, 4)})
    return TrackedSearch(paths, study, info), journal


def _train(journal: Journal, trial_id: str, epochs: int) -> None:
    done = len(journal[trial_id].epochs)
    for epoch in range(done + 1, done + epochs + 1):
        metrics = EpochMetrics(epoch, 0.7, 0.6, 1 / epoch, 0.5, 0.5, 1e-3, 1.0)
        journal.report(trial_id, metrics, HERE)


def _measured(tool: str, search: TrackedSearch, journal: Journal) -> tuple[str, str, str]:
    records = journal.records
    begun, tracker = time.process_time(), make_tracker(tool, search)
    loaded = time.process_time() - begun
    begun = time.process_time()
    tracker.open(records)
    hand_on(tracker, records)
    whole = time.process_time() - begun
    trial_id = f"{len(records):04d}"
    journal.start(spec(trial_id, {"learning_rate": 1e-3, "dropout": 0.2, "batch_size": 16}))
    hand_on(tracker, [journal[trial_id]])
    begun = time.process_time()
    for _ in range(FOLLOWED):
        _train(journal, trial_id, 1)
        hand_on(tracker, [journal[trial_id]])
    following = (time.process_time() - begun) / FOLLOWED
    tracker.close(journal.records)
    return f"{loaded:.1f}", f"{whole:.1f}", f"{1000 * following:.2f}"


def _put(search: TrackedSearch, journal: Journal) -> float:
    """Microseconds, with Optuna's mirror at work in its thread."""
    record = journal.records[-1]
    with tracking(search, ("optuna",), journal, print) as observer:
        time.sleep(5)
        begun = time.perf_counter()
        for _ in range(10_000):
            observer.on_epoch(record)
        return (time.perf_counter() - begun) / 10_000 * 1e6


if __name__ == "__main__":
    raise SystemExit(main())
