"""Study of the search's policy: samplers, schedulers and other tools, simulated on recorded curves.

    python benchmarks/policy.py                                # the study of docs, with two workers
    python benchmarks/policy.py --group rungs --workers 8 --seeds 20
    python benchmarks/policy.py --data hands24-default --policies "stock Ray" "promoting"

Each policy searches the same space with the same seeds, workers and time; its own objects decide,
and the curves that `curves.py` recorded take the place of training (`handsigns.policy.simulation`).
Times are in units of the median time of one full training. A target is the validation loss that
10 %, 3 % or 1 % of the recorded configurations reach at their end, and is reached when a trial ends
with it. The oracle is the shortest full training of a configuration that reaches it. Regret is the
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
from functools import cached_property
from pathlib import Path

import numpy as np
from curves import CURVES
from harness import (
    Table,
    Target,
    at_most,
    finish,
    log_progress,
    make_parser,
    paired_p_values,
    parse,
)
from recorded_curves import (
    SHARES,
    final_losses,
    full_training_seconds,
    load_model,
    oracle_times,
    target_losses,
    timed_config,
)
from simulated import POLICIES, Policy

from handsigns.policy.simulation import SimulatedSearch, SimulatedWorkers

HORIZONS = {2: 15.0, 8: 5.0, 64: 2.5, 1000: 1.5}
"""Duration of a simulated search by its number of workers, in full trainings."""
SEED_DIVISORS = {1000: 20}
"""Factor by which fewer seeds are simulated with many workers, which take longer."""
OURS = POLICIES[0].name
STUDY_GROUPS = ("before", "recipe", "peer", "scheduler", "sampler")
STUDY_POLICIES = (
    "33 %",
    "extrapolated",
    "ASHA, first rung at 1/6, factor 3",
    "1/12, factor 3",
    "1/12, factor 4",
    "promoting ASHA, first rung at 1/18, factor 2",
    "promoting ASHA, first rung at 1/36, factor 2",
    "promoting ASHA, first rung at 1/36, factor 3",
    "promoting ASHA, first rung at 1/36, factor 6",
)
"""Groups and parts of names of the policies that are compared unless others are given."""
SIGNIFICANCE = 0.05
"""Level of the corrected p-values below which a difference is marked."""


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


@dataclass(frozen=True)
class Comparison:
    """Outcomes of the policies in a cell, with the same seeds."""

    cell: Cell
    found: dict[str, list[Outcome]]

    def median_time(self, policy: str, target: int) -> str:
        """Return the median time to a target, and the share of searches that reached it."""
        times = [outcome.times[target] for outcome in self.found[policy]]
        reached = sum(map(math.isfinite, times)) / len(times)
        median = statistics.median(times)
        text = f"{median:.2f}" if math.isfinite(median) else "–"
        return text if reached == 1 else f"{text} ({reached:.0%})"

    def capped_median(self, policy: str, target: int = -1) -> float:
        """Return the median time to a target, at most that of a whole search."""
        return statistics.median(self._capped_times(policy, target))

    def median_regret(self, policy: str, checkpoint: int = -1) -> float:
        """Return the median regret at a checkpoint, by default the end."""
        return statistics.median(outcome.regrets[checkpoint] for outcome in self.found[policy])

    def mark(self, policy: str) -> str:
        """Return a mark if the time to 1 % differs significantly from ours."""
        return "*" if self.p_values.get(policy, 1.0) < SIGNIFICANCE else ""

    @cached_property
    def p_values(self) -> dict[str, float]:
        """Holm-corrected p-values of the differences from ours in the time to 1 %."""
        times = {policy: self._capped_times(policy, -1) for policy in self.found}
        return paired_p_values(times.pop(OURS), times)

    def _capped_times(self, policy: str, target: int) -> list[float]:
        return [min(outcome.times[target], self.cell.horizon) for outcome in self.found[policy]]


def main() -> int:
    """Simulate all cells, and print their tables."""
    parser = make_parser(__doc__ or "")
    recorded = sorted(path.stem for path in CURVES.glob("*.parquet"))
    parser.add_argument("--data", nargs="+", choices=recorded, default=recorded)
    parser.add_argument("--workers", nargs="+", type=int, default=[2])
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
    chosen = args.group or args.policies
    groups, parts = (args.group, args.policies) if chosen else (STUDY_GROUPS, STUDY_POLICIES)
    policies = [
        policy
        for policy in POLICIES
        if policy.name == OURS
        or policy.group in groups
        or any(part in policy.name for part in parts)
    ]
    tables, targets = [], []
    compared: dict[int, dict[str, Comparison]] = {}
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
                comparison = Comparison(cell, found)
                compared.setdefault(workers, {})[name] = comparison
                tables.append(_table(name, comparison))
                print(tables[-1], flush=True)
                targets += _targets(name, policies, comparison)
    for workers, by_name in compared.items():
        tables += _summaries(workers, by_name)
    return finish(tables, targets, args)


def simulate(cell: Cell, policy_name: str, seed: int) -> Outcome:
    """Simulate one search of a policy."""
    model, unit = load_model(cell.curves), full_training_seconds(cell.curves)
    config = timed_config(cell.curves, seed, cell.horizon * unit)
    policy = next(policy for policy in POLICIES if policy.name == policy_name)
    source, rule = policy.make(config)
    search = SimulatedSearch(config, source, rule, model, cell.make_workers(seed))
    epochs = list(search.run())
    ends = [epoch for epoch in epochs if epoch.metrics.epoch == config.budget.max_epochs]
    times = [
        next((end.seconds / unit for end in ends if end.metrics.val_loss <= target), math.inf)
        for target in target_losses(cell.curves)
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


def _table(name: str, compared: Comparison) -> Table:
    cell, p_values = compared.cell, compared.p_values
    rows = []
    for policy, outcomes in compared.found.items():
        rows.append(
            (
                policy,
                *(compared.median_time(policy, k) for k in range(len(SHARES))),
                *(f"{compared.median_regret(policy, k):.0%}" for k in range(3)),
                f"{statistics.fmean(o.in_top for o in outcomes):.0%}",
                f"{statistics.median(o.trials for o in outcomes):.0f}",
                f"{p_values[policy]:.2g}" if policy in p_values else "",
            )
        )
    oracle = (f"{time:.2f}" for time in oracle_times(cell.curves))
    rows.append(("oracle", *oracle, "0%", "0%", "0%", "", "", ""))
    model = load_model(cell.curves)
    return Table(
        f"{name}: {len(model.recorded)} curves, of whose variance the model explains "
        f"{model.explained_variance:.0%}; {cell.workers} {'unsteady ' if cell.unsteady else ''}"
        f"workers, {cell.horizon:g} full trainings of time, {len(compared.found[OURS])} seeds",
        ("policy", "time to 10 %", "to 3 %", "to 1 %", "regret at 25 %", "at 50 %", "at 100 %",
         "winner in top 1 %", "trials", "p against ours"),
        rows,
    )  # fmt: skip


def _summaries(workers: int, compared: dict[str, Comparison]) -> list[Table]:
    """Return tables of all data sets and spaces: times to the targets, and regrets at the end."""
    times = [_times(workers, compared, target) for target in range(len(SHARES))]
    regrets = []
    for policy in next(iter(compared.values())).found:
        medians = [one.median_regret(policy) for one in compared.values()]
        cells = [f"{regret:.1%}" for regret in (*medians, statistics.fmean(medians))]
        regrets.append((policy, *cells))
    title = f"Regret at the end, {workers} workers"
    return [*times, Table(title, ("policy", *compared, "mean"), regrets)]


def _times(workers: int, compared: dict[str, Comparison], target: int) -> Table:
    is_last = target == len(SHARES) - 1
    rows = []
    for policy in next(iter(compared.values())).found:
        ratios = [
            one.capped_median(policy, target) / one.capped_median(OURS, target)
            for one in compared.values()
        ]
        cells = [
            one.median_time(policy, target) + (one.mark(policy) if is_last else "")
            for one in compared.values()
        ]
        rows.append((policy, *cells, f"{statistics.geometric_mean(ratios):.2f}"))
    oracle = (f"{oracle_times(one.cell.curves)[target]:.2f}" for one in compared.values())
    rows.append(("oracle", *oracle, ""))
    mark = f"; * differs from ours, p < {SIGNIFICANCE:g}" if is_last else ""
    title = f"Time to the best {SHARES[target]:.0%}, {workers} workers{mark}"
    return Table(title, ("policy", *compared, "relative to ours"), rows)


def _targets(name: str, policies: Sequence[Policy], compared: Comparison) -> list[Target]:
    """Compare ours with every other policy, and its distance from the oracle with the peers'."""
    where = f"{name}, {compared.cell.workers} workers"
    targets = []
    for k, share in enumerate(SHARES):
        others = {
            p.name: compared.capped_median(p.name, k)
            for p in policies
            if p.group in ("peer", "before")
        }
        if others:
            best = min(others, key=others.__getitem__)
            ratio = compared.capped_median(OURS, k) / others[best]
            targets.append(at_most(f"{where}: time to {share:.0%}, relative to {best}", ratio, 1.0))
    oracle = oracle_times(compared.cell.curves)[-1]
    for peer in (p.name for p in policies if p.name.startswith(("stock Ray", "Optuna"))):
        distances = [compared.capped_median(policy) - oracle for policy in (OURS, peer)]
        distance = distances[0] / max(1e-9, distances[1])
        targets.append(
            at_most(f"{where}: distance to the oracle, relative to {peer}", distance, 0.5)
        )
    return targets


if __name__ == "__main__":
    sys.exit(main())
