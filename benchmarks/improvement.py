"""Calibration of the chance of a better winner, and of `patience: auto`, in simulated searches.

    python benchmarks/improvement.py --first-seed 100
    python benchmarks/improvement.py --data signs32-default --seeds 200

Simulated searches with the default policy state, at a quarter, half and three quarters of their
time, the chance that the winner changes within another quarter, half and once as much time; the
table compares it with how often the winner did. With `patience: auto` a search ends earlier: the
second table has the share of the time that it saved, and the loss of its winner relative to that of
the whole search. Curves are those of `policy.py`.
"""

from __future__ import annotations

import itertools
import statistics
import sys
from dataclasses import dataclass

from curves import CURVES
from harness import Table, finish, log_progress, make_parser, parse
from recorded_curves import full_training_seconds, load_model, timed_config
from simulated import ours

from handsigns.policy.improvement import (
    AUTO_PATIENCE_CHANCE,
    AUTO_PATIENCE_SHARE,
    AUTO_PATIENCE_TRIALS,
    improvement_probability,
)
from handsigns.policy.promotion import rung_epochs
from handsigns.policy.simulation import SimulatedSearch, SimulatedWorkers

HORIZON = 15.0
"""Duration of a search, in full trainings."""
BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class History:
    """Simulated search.

    Attributes:
        completed: completed trials, (seconds, final loss), by time.
        checked: seconds at which trials paused or completed, or were promoted at once.
        duration: its duration in seconds.
    """

    completed: list[tuple[float, float]]
    checked: list[float]
    duration: float

    def changes(self, until: float) -> list[float]:
        """Return the seconds at which the winner changed."""
        found: list[float] = []
        best = float("inf")
        for seconds, loss in self.completed:
            if seconds <= until and loss < best:
                best = loss
                found.append(seconds)
        return found

    def best(self, until: float) -> float:
        """Return the loss of the winner."""
        return min(loss for seconds, loss in self.completed if seconds <= until)


def main() -> int:
    """Simulate the searches, and print both tables."""
    parser = make_parser(__doc__ or "")
    recorded = sorted(path.stem for path in CURVES.glob("*-default.parquet"))
    parser.add_argument("--data", nargs="+", choices=recorded, default=recorded)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--seeds", type=int, default=100, help="simulated searches of each data set"
    )
    parser.add_argument("--first-seed", type=int, default=0, help="seed of the first of them")
    args = parse(parser, data=recorded[:1], seeds=2)
    histories = []
    for name in args.data:
        log_progress(f"{name}: {args.seeds} searches")
        seeds = range(args.first_seed, args.first_seed + args.seeds)
        histories += [simulate(name, args.workers, seed) for seed in seeds]
    return finish([_calibration(histories), _patience(histories)], [], args)


def simulate(name: str, workers: int, seed: int) -> History:
    """Simulate one search with the default policy."""
    path = CURVES / f"{name}.parquet"
    model, duration = load_model(path), HORIZON * full_training_seconds(path)
    config = timed_config(path, seed, duration)
    source, rule = ours(config)
    search = SimulatedSearch(config, source, rule, model, SimulatedWorkers(workers, seed=seed))
    scheduler, last = config.scheduler, config.budget.max_epochs
    assert scheduler.grace_period is not None, "resolved by the configuration"
    assert scheduler.reduction_factor is not None, "resolved by the configuration"
    ends = {*rung_epochs(scheduler.grace_period, scheduler.reduction_factor, last), last}
    epochs = [epoch for epoch in search.run() if epoch.metrics.epoch in ends]
    completed = [(e.seconds, e.metrics.val_loss) for e in epochs if e.metrics.epoch == last]
    return History(completed, [epoch.seconds for epoch in epochs], duration)


def _calibration(histories: list[History]) -> Table:
    pairs = []
    for history, at, more in itertools.product(histories, (0.25, 0.5, 0.75), (0.25, 0.5, 1.0)):
        now, extra = at * history.duration, more * at * history.duration
        chance = improvement_probability(history.changes(now), now, extra)
        if chance is not None and now + extra <= history.duration:
            after = history.changes(now + extra)
            pairs.append((chance, len(after) > len(history.changes(now))))
    rows = []
    for low, high in itertools.pairwise(BINS):
        inside = [(chance, better) for chance, better in pairs if low <= chance < high]
        if inside:
            stated = statistics.fmean(chance for chance, _ in inside)
            happened = statistics.fmean(better for _, better in inside)
            rows.append(
                (f"{low:.0%} to {high:.0%}", str(len(inside)), f"{stated:.0%}", f"{happened:.0%}")
            )
    return Table("Chance of a better winner", ("stated", "cases", "mean stated", "happened"), rows)


def _patience(histories: list[History]) -> Table:
    saved, ratios = [], []
    for history in histories:
        if history.completed:
            end = _end(history)
            saved.append(1 - end / history.duration)
            ratios.append(history.best(end) / history.best(history.duration))
    rows = [
        ("searches that ended early", f"{statistics.fmean(s > 0 for s in saved):.0%}"),
        ("time saved, mean", f"{statistics.fmean(saved):.0%}"),
        ("winner's loss relative to the whole search's, mean", f"{statistics.fmean(ratios):.3f}"),
        ("the same winner", f"{statistics.fmean(ratio == 1 for ratio in ratios):.0%}"),
    ]
    return Table("patience: auto", ("quantity", "value"), rows)


def _end(history: History) -> float:
    """Return when a search with `patience: auto` ends, at a rung or where a trial completes.

    A real search does not check at a rung where the trial is promoted at once.
    """
    for seconds in history.checked:
        extra = AUTO_PATIENCE_SHARE * seconds
        chance = improvement_probability(history.changes(seconds), seconds, extra)
        num_completed = sum(at <= seconds for at, _ in history.completed)
        enough = num_completed >= AUTO_PATIENCE_TRIALS
        if enough and chance is not None and chance < AUTO_PATIENCE_CHANCE:
            return seconds
    return history.duration


if __name__ == "__main__":
    sys.exit(main())
