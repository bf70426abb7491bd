"""Study of the search's policy: samplers, schedulers and other tools, simulated on recorded curves.

    python benchmarks/policy.py                                  # all, about two hours on two cores
    python benchmarks/policy.py --group rungs --workers 2 --seeds 20
    python benchmarks/policy.py --data hands24 --policies "stock Ray" "promoting"

Each policy searches the same space with the same seeds, workers and time; its own objects decide,
and the curves that `curves.py` recorded take the place of training (`handsigns.policy.simulation`).
Times are in units of the median time of one full training. A target is the validation loss that
10 %, 3 % or 1 % of the recorded configurations reach at their end. The oracle is the time in which
the recorded configuration that is fastest at it reaches it if it is begun first. Regret is the
ratio of the expected final loss of the best trial to that of the best recorded configuration, less
1. Differences from ours are tested by Wilcoxon's signed-rank test over the seeds, corrected by
Holm's method.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from curves import CURVES
from harness import (
    REPOSITORY,
    Table,
    Target,
    at_most,
    finish,
    log_progress,
    make_parser,
    parse,
)
from recorded_curves import read_curves
from simulated import POLICIES, Policy

from handsigns.config.load import load_search_config
from handsigns.config.search import SearchConfig
from handsigns.policy.learning_curves import LearningCurveModel
from handsigns.policy.simulation import SimulatedSearch, SimulatedWorkers, best_so_far
from handsigns.stats.mcnemar import holm

HORIZONS = {2: 15.0, 8: 5.0, 64: 2.5, 1000: 1.5}
"""Duration of a simulated search by its number of workers, in full trainings."""
SEED_DIVISORS = {2: 1, 8: 1, 64: 4, 1000: 20}
"""Factor by which fewer seeds are simulated with many workers, which take longer."""
SHARES = (0.10, 0.03, 0.01)
"""Shares of the configurations that define the targets."""
OURS = POLICIES[0].name


@dataclass(frozen=True)
class Outcome:
    """Outcome of a simulated search.

    Attributes:
        times: time to each target, in full trainings; infinite if it was not reached.
        regrets: regret at 25, 50 and 100 % of the time.
        in_top: whether the winner is one of the best 1 % of configurations.
        trials: number of trials that were started.
    """

    times: tuple[float, ...]
    regrets: tuple[float, ...]
    in_top: bool
    trials: int


@dataclass(frozen=True)
class Cell:
    """Setting in which policies are compared.

    Attributes:
        curves: recorded curves.
        workers: number of workers.
        horizon: duration of a search, in full trainings.
        unsteady: whether workers differ in speed by 30 %, are lost after three full trainings on
            average, and half of them are there for half of the time only.
    """

    curves: Path
    workers: int
    horizon: float
    unsteady: bool = False

    def make_workers(self, seed: int) -> SimulatedWorkers:
        """Return the workers of one simulated search."""
        if not self.unsteady:
            return SimulatedWorkers(self.workers, seed=seed)
        unit = full_training_seconds(self.curves)
        extra, duration = self.workers // 2, self.horizon * unit
        return SimulatedWorkers(
            self.workers - extra,
            speed_std=0.3,
            mean_seconds_to_loss=3 * unit,
            arrivals=((duration / 4, extra), (3 * duration / 4, -extra)),
            seed=seed,
        )


def main() -> int:
    """Simulate all cells, and print their tables."""
    parser = make_parser(__doc__ or "")
    recorded = sorted(path.stem for path in CURVES.glob("*.parquet"))
    parser.add_argument("--data", nargs="+", choices=recorded, default=recorded)
    parser.add_argument("--workers", nargs="+", type=int, default=sorted(HORIZONS))
    parser.add_argument("--seeds", type=int, default=100, help="simulated searches of each cell")
    parser.add_argument("--first-seed", type=int, default=0, help="seed of the first of them")
    parser.add_argument("--group", nargs="+", default=[], help="groups of policies, beside ours")
    parser.add_argument("--policies", nargs="+", default=[], help="parts of names of policies")
    parser.add_argument(
        "--unsteady",
        action="store_true",
        help="workers that differ in speed, get lost, come and go",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="number of processes")
    args = parse(parser, data=recorded[:1], workers=[2], seeds=1, group=["peer"])
    policies = [
        policy
        for policy in POLICIES
        if policy.name == OURS
        or policy.group in args.group
        or any(part in policy.name for part in args.policies)
        or not (args.group or args.policies)
    ]
    tables, targets = [], []
    with multiprocessing.get_context("spawn").Pool(args.jobs) as pool:
        for name in args.data:
            for workers in args.workers:
                horizon = 0.5 if args.smoke else HORIZONS.get(workers, 2.0)
                cell = Cell(CURVES / f"{name}.parquet", workers, horizon, args.unsteady)
                seeds = max(1, args.seeds // SEED_DIVISORS.get(workers, 1))
                numbers = range(args.first_seed, args.first_seed + seeds)
                tasks = [(cell, policy.name, seed) for policy in policies for seed in numbers]
                log_progress(f"{name}, {workers} workers: {len(tasks)} searches")
                outcomes = pool.starmap(simulate, tasks, chunksize=1)
                found = {
                    policy.name: outcomes[k * seeds : (k + 1) * seeds]
                    for k, policy in enumerate(policies)
                }
                tables.append(_table(name, cell, found))
                print(tables[-1], flush=True)
                targets += _targets(name, cell, policies, found)
    return finish(tables, targets, args)


@cache
def load_model(path: Path) -> LearningCurveModel:
    """Return the model of recorded curves, with the noise that repeated trainings show."""
    space = load_search_config(space_path(path)).space
    return LearningCurveModel(space, *read_curves(path, space))


def space_path(curves: Path) -> Path:
    """Return the search space of recorded curves."""
    return REPOSITORY / "search_spaces" / f"{curves.stem.split('-')[1]}.yaml"


def timed_config(curves: Path, seed: int, seconds: float) -> SearchConfig:
    """Return the configuration of a search on recorded curves that only its time ends."""
    config = load_search_config(space_path(curves))
    budget = {"trials": 10**6, "time_budget": seconds, "patience": None}
    return config.model_copy(
        update={"seed": seed, "budget": config.budget.model_copy(update=budget)}
    )


def simulate(cell: Cell, policy_name: str, seed: int) -> Outcome:
    """Simulate one search of a policy."""
    model, unit = load_model(cell.curves), full_training_seconds(cell.curves)
    config = timed_config(cell.curves, seed, cell.horizon * unit)
    policy = next(policy for policy in POLICIES if policy.name == policy_name)
    source, rule = policy.make(config)
    search = SimulatedSearch(config, source, rule, model, cell.make_workers(seed))
    targets = target_losses(cell.curves)
    epochs = list(search.run())
    improvements = best_so_far(epochs, lambda metrics: metrics.val_loss)
    times = [
        next((seconds / unit for seconds, loss in improvements if loss <= target), math.inf)
        for target in targets
    ]
    latest: dict[str, float] = {}
    checkpoints = [cell.horizon * unit * share for share in (0.25, 0.5, 1.0)]
    leaders: list[str] = []
    for epoch in epochs:
        while len(leaders) < 2 and epoch.seconds > checkpoints[len(leaders)]:
            leaders.append(min(latest, key=latest.__getitem__, default=epoch.trial_id))
        latest[epoch.trial_id] = epoch.metrics.val_loss
    leaders += [min(latest, key=latest.__getitem__)] * (3 - len(leaders))
    trials = {trial.trial_id: trial for trial in search.trials}
    finals = [float(model.predict(trials[leader].params).loss[-1]) for leader in leaders]
    expected = final_losses(cell.curves)
    return Outcome(
        times=tuple(times),
        regrets=tuple(max(0.0, final / expected[0] - 1) for final in finals),
        in_top=finals[-1] <= float(np.quantile(expected, SHARES[-1])),
        trials=len(trials),
    )


@cache
def final_losses(path: Path) -> list[float]:
    """Return the expected final losses of the recorded configurations, ascending."""
    model = load_model(path)
    return sorted(float(model.predict(trial.params).loss[-1]) for trial in model.recorded)


@cache
def full_training_seconds(path: Path) -> float:
    """Return the median seconds of a full training."""
    model = load_model(path)
    seconds = [trial.curve.epoch_seconds for trial in model.recorded]
    return statistics.median(seconds) * model.num_epochs


@cache
def target_losses(path: Path) -> tuple[float, ...]:
    """Return the losses that the shares of configurations reach at their end."""
    losses = sorted(trial.curve.loss[-1] for trial in load_model(path).recorded)
    return tuple(float(losses[math.ceil(share * len(losses)) - 1]) for share in SHARES)


@cache
def oracle_times(path: Path) -> tuple[float, ...]:
    """Return the time that the recorded curve needs that is first at a target, in trainings."""
    unit = full_training_seconds(path)
    curves = [trial.curve for trial in load_model(path).recorded]
    return tuple(
        min(
            (int((curve.loss <= target).argmax()) + 1) * curve.epoch_seconds / unit
            for curve in curves
            if (curve.loss <= target).any()
        )
        for target in target_losses(path)
    )


def _table(name: str, cell: Cell, found: dict[str, list[Outcome]]) -> Table:
    p_values = _corrected_p_values(found, cell.horizon)
    rows = []
    for policy, outcomes in found.items():
        times = [[outcome.times[k] for outcome in outcomes] for k in range(len(SHARES))]
        rows.append(
            (
                policy,
                *(_median_time(values) for values in times),
                *(f"{statistics.median(o.regrets[k] for o in outcomes):.0%}" for k in range(3)),
                f"{statistics.fmean(o.in_top for o in outcomes):.0%}",
                f"{statistics.median(o.trials for o in outcomes):.0f}",
                f"{p_values[policy]:.2g}" if policy in p_values else "",
            )
        )
    oracle = (f"{time:.2f}" for time in oracle_times(cell.curves))
    rows.append(("oracle", *oracle, "0%", "0%", "0%", "", "", ""))
    model = load_model(cell.curves)
    seeds = len(found[OURS])
    return Table(
        f"{name}: {len(model.recorded)} curves, of whose variance the model explains "
        f"{model.explained_variance:.0%}; {cell.workers} {'unsteady ' if cell.unsteady else ''}"
        f"workers, {cell.horizon:g} full trainings of time, {seeds} seeds",
        ("policy", "time to 10 %", "to 3 %", "to 1 %", "regret at 25 %", "at 50 %", "at 100 %",
         "winner in top 1 %", "trials", "p against ours"),
        rows,
    )  # fmt: skip


def _median_time(times: Sequence[float]) -> str:
    reached = sum(map(math.isfinite, times)) / len(times)
    median = statistics.median(times)
    text = f"{median:.2f}" if math.isfinite(median) else "–"
    return text if reached == 1 else f"{text} ({reached:.0%})"


def _corrected_p_values(found: dict[str, list[Outcome]], horizon: float) -> dict[str, float]:
    """Return Holm-corrected p-values of the differences from ours in the time to 1 %."""
    from scipy.stats import wilcoxon

    ours = [min(outcome.times[-1], horizon) for outcome in found[OURS]]
    raw = {}
    for policy, outcomes in found.items():
        theirs = [min(outcome.times[-1], horizon) for outcome in outcomes]
        if policy != OURS and theirs != ours:
            raw[policy] = float(wilcoxon(ours, theirs).pvalue)
    return dict(zip(raw, holm([*raw.values()]), strict=True))


def _targets(
    name: str, cell: Cell, policies: Sequence[Policy], found: dict[str, list[Outcome]]
) -> list[Target]:
    """Compare ours with every other policy, and its distance from the oracle with the peers'."""
    where = f"{name}, {cell.workers} workers"

    def median(policy: str, k: int) -> float:
        return statistics.median(min(o.times[k], cell.horizon) for o in found[policy])

    targets = []
    for k, share in enumerate(SHARES):
        others = {p.name: median(p.name, k) for p in policies if p.group in ("peer", "before")}
        if others:
            best = min(others, key=others.__getitem__)
            ratio = median(OURS, k) / others[best]
            targets.append(at_most(f"{where}: time to {share:.0%}, relative to {best}", ratio, 1.0))
    oracle = oracle_times(cell.curves)[-1]
    for peer in (p.name for p in policies if p.name.startswith(("stock Ray", "Optuna"))):
        distance = (median(OURS, -1) - oracle) / max(1e-9, median(peer, -1) - oracle)
        targets.append(
            at_most(f"{where}: distance to the oracle, relative to {peer}", distance, 0.5)
        )
    return targets


if __name__ == "__main__":
    sys.exit(main())
