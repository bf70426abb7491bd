"""Study of the search's policy: samplers, schedulers and other tools, simulated on recorded curves.

    python benchmarks/policy.py --first-seed 100               # the study of docs, with two workers
    python benchmarks/policy.py --group rungs --workers 8 --seeds 20
    python benchmarks/policy.py --data hands24-default --policies "stock Ray" "promoting"

Each policy searches the same space with the same seeds, workers and time; its own objects decide,
and the curves that `curves.py` recorded take the place of training (`handsigns.policy.simulation`).
Times are in units of the median time of one full training. A target is the validation loss that
10 %, 3 % or 1 % of the recorded configurations reach at their end, and is reached when a trial ends
with it. The oracle is the shortest full training of a configuration that reaches it. Regret is the
ratio of the expected final loss of the best trial to that of the best recorded configuration, less
1. Differences from ours are tested by Wilcoxon's signed-rank test over the seeds of a setting, and
of all settings, corrected by Holm's method.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import sys

import numpy as np
from curves import CURVES
from harness import finish, log_progress, make_parser, parse
from policy_tables import (
    OURS,
    Cell,
    Comparison,
    Outcome,
    outcome_table,
    peer_targets,
    summary_tables,
)
from recorded_curves import (
    SHARES,
    final_losses,
    full_training_seconds,
    load_model,
    target_losses,
    timed_config,
)
from simulated import POLICIES

from handsigns.policy.simulation import SimulatedSearch

HORIZONS = {2: 15.0, 8: 5.0, 64: 2.5, 1000: 1.5}
"""Duration of a simulated search by its number of workers, in full trainings."""
SEED_DIVISORS = {1000: 20}
"""Factor by which fewer seeds are simulated with many workers, which take longer."""
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
                tables.append(outcome_table(name, comparison))
                print(tables[-1], flush=True)
                targets += peer_targets(name, policies, comparison)
    for workers, by_name in compared.items():
        tables += summary_tables(workers, by_name)
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


if __name__ == "__main__":
    sys.exit(main())
