"""What a search costs beside training: gaps, reports, idle slots, many trials, large leaderboards.

    python benchmarks/overhead.py
    python benchmarks/overhead.py --time-budget 15m --json overhead.json

The default search is run for some minutes and its journal says where the time went. Then comes a
search of thousands of trials of two tiny epochs, whose rate must not fall and whose driver must not
swell, and a made-up search of ten thousand trials, whose leaderboard is asked for.
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
    Aim,
    Table,
    at_least,
    at_most,
    draw_pictures,
    epoch_begin,
    events,
    finish,
    middle,
    options,
    parse,
    resident,
    spec,
    tell,
    timed,
    tune,
    workplace,
)

from handsigns.config.hyperparameters import Scalar, TrialConfig
from handsigns.config.load import load_study
from handsigns.data.splits import DataInfo
from handsigns.metrics import EpochMetrics
from handsigns.policy.sampler import Sampler
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import DataRecord, begin_search
from handsigns.results.trial import Placement, TrialRecord

TRIVIAL = """
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
"""Twelve pictures of 16 x 16 and a network of two channels: an epoch takes milliseconds."""

WINDOW = 200
"""Trials over which a rate is taken."""


def main() -> int:
    """Measure, print, and write the aims."""
    parser = options(__doc__ or "", repeats=5)
    parser.add_argument("--time-budget", default="4m", help="for the default search")
    parser.add_argument("--trials", type=int, default=2000, help="trivial ones")
    parser.add_argument("--known", type=int, default=10_000, help="trials of a made-up search")
    chosen = parse(parser, repeats=1, trials=24, known=100)
    if chosen.trials < 24:
        parser.error("--trials: at least 24, as the first ten are not measured")
    with workplace() as folder:
        if not chosen.smoke:
            tell(f"the default search, {chosen.time_budget}")
            tune("search", "default", "--time-budget", chosen.time_budget, "--trials", "10000",
                 "--name", "default", "--results", str(folder))  # fmt: skip
        tell(f"{chosen.trials} trivial trials")
        many, many_aims = many_trials(folder, chosen.trials)
        measured = "many" if chosen.smoke else "default"
        search, search_aims = slots(events(folder / measured / "journal.jsonl"))
        tell(f"a leaderboard of {chosen.known} trials")
        board, board_aims = large_leaderboard(folder, chosen.repeats, chosen.known)
        tell("choices of TPE")
        tpe = choices(folder, min(2000, chosen.known))
    return finish([search, many, tpe, board], [*search_aims, *many_aims, *board_aims], chosen)


def slots(journal: Sequence[dict[str, Any]]) -> tuple[Table, list[Aim]]:
    """Where the slots' time went, from the first training step to the last.

    An epoch begins `epoch_seconds` before its report is received. What lies between one epoch's
    report and the next epoch's beginning in the same process is a report with its checkpoint, or,
    where the trial changes, the gap between two trials, which has one such report in it.
    """
    before: dict[str, dict[str, Any]] = {}
    reports: list[float] = []
    gaps: list[float] = []
    trained, begun, ended = 0.0, float("inf"), 0.0
    for event in journal:
        if event["event"] != "epoch":
            continue
        begin = epoch_begin(event)
        trained += event["time"] - begin
        begun, ended = min(begun, begin), max(ended, event["time"])
        last = before.get(event["node"])
        if last is not None:
            same = last["trial_id"] == event["trial_id"]
            (reports if same else gaps).append(1000 * (begin - last["time"]))
        before[event["node"]] = event
    used = trained / (len(before) * (ended - begun))
    rows = [
        ("between two trials, ms", str(len(gaps)), *_spread(gaps)),
        ("report with checkpoint, ms", str(len(reports)), *_spread(reports)),
        ("slots in epochs", str(len(before)), f"{used:.1%}", "", ""),
    ]
    title = f"The default search, {ended - begun:.0f} s from its first training step to its last"
    table = Table(title, ("", "number", "median", "90 %", "greatest"), rows)
    aims = [
        at_most("gap between trials, median ms", statistics.median(gaps), 50),
        at_most("report with checkpoint, median ms", statistics.median(reports), 15),
        at_least("slot utilisation", used, 0.95),
    ]
    return table, aims


def many_trials(folder: Path, trials: int) -> tuple[Table, list[Aim]]:
    """The rate of trials from the first to the last, and the driver's memory meanwhile."""
    draw_pictures(folder / "few", {"train": 12, "val": 6, "test": 6}, 16, "png")
    space = folder / "trivial.yaml"
    space.write_text(TRIVIAL)
    arguments = ["search", str(space), "--data", str(folder / "few"), "--size", "16"]
    arguments += ["--trials", str(trials), "--name", "many", "--results", str(folder)]
    memory: list[tuple[float, float]] = []
    tune(*arguments, look=lambda pid: memory.append((time.time(), resident(pid))), every=0.5)
    journal = events(folder / "many" / "journal.jsonl")
    times = [event["time"] for event in journal if event["event"] == "start"]
    # The first trials wait for their processes, which is a matter of the start.
    window = min(WINDOW, trials // 2)
    marks = [10, *range(window, trials + 1, window)]
    rows, rates = [], []
    for low, high in pairwise(marks):
        begun, ended = times[low - 1], times[high - 1]
        rates.append((high - low) / (ended - begun))
        held = max((mib for at, mib in memory if begun <= at <= ended), default=0.0)
        rows.append((f"{low} to {high}", f"{rates[-1]:.1f}", f"{held:.0f}"))
    table = Table(
        f"{trials} trials of two tiny epochs, random search",
        ("trials", "trials a second", "driver's memory, MiB"),
        rows,
    )
    grown = float(rows[-1][2]) - float(rows[0][2])
    aims = [
        at_least("rate of the last 200 trials to that of the first", rates[-1] / rates[0], 0.9),
        at_most("driver's growth a trial, KiB", 1024 * grown / (trials - window), 100),
    ]
    return table, aims


def large_leaderboard(folder: Path, repeats: int, trials: int) -> tuple[Table, list[Aim]]:
    """Seconds of the command `leaderboard` for a search that never took place."""
    study = load_study(folder / "trivial.yaml")
    info = DataInfo("nowhere", "0", ("a", "b"), 16, {"train": (6, 6)})
    paths = SearchPaths(folder / "large")
    begin_search(paths, study, DataRecord(info, None, 16, False))
    chance = random.Random(0)
    journal = Journal(paths.journal, writable=True)
    for number in range(trials):
        trial_id = f"{number:04d}"
        params = {"learning_rate": chance.random(), "dropout": chance.random() / 2}
        journal.start(spec(trial_id, params))
        for epoch in range(1, chance.choice((4, 4, 4, 4, 4, 4, 12, 12, 36)) + 1):
            metrics = EpochMetrics(epoch, 1.0, 0.5, chance.random(), 0.5, 0.5, 1e-3, 1.0)
            journal.report(trial_id, metrics, Placement("nowhere/1", "cpu", 1))
        journal.end(trial_id, "stopped")
    journal.close()
    command = ("leaderboard", "large", "--results", str(folder))
    seconds = [timed(lambda: tune(*command)) for _ in range(repeats)]
    lines = paths.journal.read_bytes().count(b"\n")
    row = (str(trials), str(lines), middle(seconds, "{:.2f}"))
    table = Table("A large leaderboard", ("trials", "events", "seconds"), [row])
    return table, [at_most(f"leaderboard of {trials} trials, s", statistics.median(seconds), 2)]


def choices(folder: Path, most: int) -> Table:
    """What a choice of the default searcher takes as the trials that it knows become many."""
    options = {"searcher.name": "tpe", "budget.trials": most}
    sampler = Sampler(load_study(folder / "trivial.yaml", options=options))
    chance = random.Random(0)
    rows, seconds = [], []
    for number in range(1, most + 1):
        begun = time.perf_counter()
        chosen = sampler.suggest()
        seconds.append(time.perf_counter() - begun)
        if chosen is None:
            raise RuntimeError("the space is continuous and cannot be exhausted")
        sampler.finish(_ended(chosen.trial_id, chosen.params, chance))
        if number in (most // 10, most // 2, most):
            rows.append((str(number), f"{1000 * statistics.median(seconds[-50:]):.1f}"))
    return Table("A choice of TPE", ("trials known", "ms"), rows)


def _ended(trial_id: str, params: dict[str, Scalar], chance: random.Random) -> TrialRecord:
    epochs = tuple(
        EpochMetrics(epoch, 1.0, 0.5, chance.random(), 0.5, 0.5, 1e-3, 1.0)
        for epoch in range(1, chance.choice((1, 1, 2)) + 1)
    )
    config = TrialConfig.from_params(params)
    return TrialRecord(trial_id, config, params, 0, "stopped", epochs, None, "", 0.0, 1.0)


def _spread(values: Sequence[float]) -> tuple[str, str, str]:
    ordered = sorted(values)
    tenth = ordered[int(0.9 * len(ordered))]
    return f"{statistics.median(ordered):.1f}", f"{tenth:.1f}", f"{ordered[-1]:.1f}"


if __name__ == "__main__":
    sys.exit(main())
