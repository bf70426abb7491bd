"""Outcomes of simulated searches, compared by policy and setting, as tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness import Table, Target, at_most, paired_p_values
from recorded_curves import SHARES, full_training_seconds, load_model, oracle_times
from simulated import POLICIES, Policy

from handsigns.policy.simulation import SimulatedWorkers

OURS = POLICIES[0].name
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
        median = statistics.median(outcome.times[target] for outcome in self.found[policy])
        text = f"{median:.2f}" if math.isfinite(median) else "–"
        reached = self.share_reached(policy, target)
        return text if reached == 1 else f"{text} ({reached:.0%})"

    def share_reached(self, policy: str, target: int) -> float:
        """Return the share of the searches that reached a target."""
        outcomes = self.found[policy]
        return sum(math.isfinite(outcome.times[target]) for outcome in outcomes) / len(outcomes)

    def capped_median(self, policy: str, target: int = -1) -> float:
        """Return the median time to a target, at most that of a whole search."""
        return statistics.median(self.capped_times(policy, target))

    def median_regret(self, policy: str, checkpoint: int = -1) -> float:
        """Return the median regret at a checkpoint, by default the end."""
        return statistics.median(outcome.regrets[checkpoint] for outcome in self.found[policy])

    def mark(self, policy: str) -> str:
        """Return a mark if the time to 1 % differs significantly from ours."""
        return "*" if self.p_values.get(policy, 1.0) < SIGNIFICANCE else ""

    @cached_property
    def p_values(self) -> dict[str, float]:
        """Holm-corrected p-values of the differences from ours in the time to 1 %."""
        return _p_values([self], target=-1)

    def capped_times(self, policy: str, target: int) -> list[float]:
        """Return the time of each search to a target, at most that of a whole search."""
        return [min(outcome.times[target], self.cell.horizon) for outcome in self.found[policy]]


def _p_values(comparisons: Sequence[Comparison], target: int) -> dict[str, float]:
    """Return Holm-corrected p-values of differences from ours, all settings taken together."""
    times = {
        policy: [time for one in comparisons for time in one.capped_times(policy, target)]
        for policy in comparisons[0].found
    }
    return paired_p_values(times.pop(OURS), times)


def outcome_table(name: str, compared: Comparison) -> Table:
    """Return a table with the outcomes of each policy in a cell."""
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


def summary_tables(workers: int, compared: dict[str, Comparison]) -> list[Table]:
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
    p_values = _p_values([*compared.values()], target)
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
        reached = statistics.fmean(one.share_reached(policy, target) for one in compared.values())
        p_value = f"{p_values[policy]:.2g}" if policy in p_values else ""
        ratio = f"{statistics.geometric_mean(ratios):.2f}"
        rows.append((policy, *cells, ratio, f"{reached:.0%}", p_value))
    oracle = (f"{oracle_times(one.cell.curves)[target]:.2f}" for one in compared.values())
    rows.append(("oracle", *oracle, "", "", ""))
    mark = f"; * differs from ours, p < {SIGNIFICANCE:g}" if is_last else ""
    title = f"Time to the best {SHARES[target]:.0%}, {workers} workers{mark}"
    return Table(title, ("policy", *compared, "relative to ours", "reached", "p, all"), rows)


def peer_targets(name: str, policies: Sequence[Policy], compared: Comparison) -> list[Target]:
    """Compare ours with the best of peers and 0.2.0, and its distance from the oracle."""
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
