"""Re-evaluation of a search's top trials with fresh seeds, free of the winner's curse.

The best validation score of a search is biased upwards: it is the maximum of many. Here the top
configurations are trained to the end again, all with the same fresh seeds and, with folds, on the
same new splits into training and validation images, so that they can be compared pairwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

from pydantic import Field

from handsigns.config.hyperparameters import derive_seed
from handsigns.config.sections import MAX_SEEDS, Objective
from handsigns.data.folds import Fold
from handsigns.data.splits import DataInfo
from handsigns.errors import ResultsError
from handsigns.io.json_file import read_json, write_json
from handsigns.results.paths import ReevaluationPaths
from handsigns.results.trial import TrialRecord, TrialSpec


class ReevaluationRun(NamedTuple):
    """Seed and held-out images that two configurations must share to be compared.

    Attributes:
        seed: number of the fresh seed, from 0.
        fold, folds: index of the held-out fold and number of folds; 0 of 0 keeps the validation
            split.
    """

    seed: int
    fold: int = 0
    folds: int = 0

    def trial_id(self, trial_id: str) -> str:
        """Return the ID of this run of a trial's configuration: ``0007-seed1-fold0of4``."""
        fold = f"-fold{self.fold}of{self.folds}" if self.folds else ""
        return f"{trial_id}-seed{self.seed}{fold}"

    def training_seed(self, search_seed: int) -> int:
        """Return the training seed, which differs from all seeds of the search."""
        return derive_seed(f"repeat/{search_seed}/{self.seed}/{self.fold}/{self.folds}")

    def validation_fold(self, search_seed: int) -> Fold | None:
        """Return the held-out fold; None if the validation split is kept."""
        if not self.folds:
            return None
        split_seed = derive_seed(f"folds/{search_seed}/{self.seed}/{self.folds}")
        return Fold(self.fold, self.folds, split_seed)

    def spec(self, record: TrialRecord, search_seed: int) -> TrialSpec:
        """Return the specification of this run for a trial's configuration."""
        return TrialSpec(
            trial_id=self.trial_id(record.trial_id),
            params=record.params,
            config=record.config,
            seed=self.training_seed(search_seed),
            fold=self.validation_fold(search_seed),
        )


@dataclass(frozen=True)
class ReevaluationPlan:
    """Trials to re-evaluate, and the runs of each.

    Attributes:
        trial_ids: IDs of the search's trials.
        seeds: number of fresh seeds.
        folds: number of folds; 0 keeps the validation split.
        previous: latest finished plan before this one; its result counts until this plan has as
            many runs to compare, or is finished.
    """

    trial_ids: Annotated[tuple[str, ...], Field(max_length=1000)]
    seeds: Annotated[int, Field(ge=1, le=MAX_SEEDS)]
    folds: Annotated[int, Field(ge=0, le=100)]
    previous: ReevaluationPlan | None = field(default=None, compare=False)

    @property
    def runs(self) -> list[ReevaluationRun]:
        """Runs of every trial."""
        return [
            ReevaluationRun(seed, k, self.folds)
            for seed in range(self.seeds)
            for k in range(self.folds or 1)
        ]

    @property
    def trial_runs(self) -> list[tuple[str, ReevaluationRun]]:
        """Pairs of trial ID and run, ordered by run so that trials can be compared early."""
        return [(trial_id, run) for run in self.runs for trial_id in self.trial_ids]

    def specs(self, records: Mapping[str, TrialRecord], search_seed: int) -> list[TrialSpec]:
        """Return the specifications of all runs, given the search's trials by ID."""
        return [run.spec(records[trial_id], search_seed) for trial_id, run in self.trial_runs]

    @property
    def run_ids(self) -> set[str]:
        """IDs of all runs."""
        return {run.trial_id(trial_id) for trial_id, run in self.trial_runs}

    def finished(self, runs: Iterable[TrialRecord]) -> bool:
        """Return whether every run of the plan has ended."""
        return self.run_ids <= {run.trial_id for run in runs if run.is_terminal}


def read_plan(paths: ReevaluationPaths) -> ReevaluationPlan | None:
    """Return the latest plan of a re-evaluation; None if there is none.

    Raises:
        ResultsError: the plan is damaged.
    """
    try:
        return read_json(paths.plan, ReevaluationPlan, f"to recreate it: {paths.resume_command}")
    except FileNotFoundError:
        return None


def write_plan(
    paths: ReevaluationPaths, plan: ReevaluationPlan, runs: Iterable[TrialRecord]
) -> None:
    """Store a plan as the latest, keeping the finished one before it as `previous`."""
    try:
        before = read_plan(paths)
    except ResultsError:
        before = None
    if before is not None:
        earlier = dataclasses.replace(before, previous=None)
        earlier_counts = before != plan and before.finished(runs)
        plan = dataclasses.replace(plan, previous=earlier if earlier_counts else before.previous)
    write_json(paths.plan, dataclasses.asdict(plan))


def smallest_class_size(info: DataInfo) -> int:
    """Return the number of train and val images, or of their groups, of the smallest class."""
    counts = info.groups or map(sum, zip(info.counts["train"], info.counts["val"], strict=True))
    return min(counts)


def feasible_folds(folds: int, info: DataInfo) -> int:
    """Limit the folds so that each has an image of every class; 0 if fewer than two remain."""
    fitting = min(folds, smallest_class_size(info))
    return fitting if fitting > 1 else 0


@dataclass(frozen=True)
class ReevaluatedTrial:
    """Re-evaluated trial of a search.

    Attributes:
        record: trial of the search.
        common_runs: runs that have ended for every re-evaluated trial, in the same order for all.
        runs: records of these runs, in that order.
    """

    record: TrialRecord
    common_runs: tuple[ReevaluationRun, ...]
    runs: tuple[TrialRecord, ...]

    @property
    def all_completed(self) -> bool:
        """Whether all its runs completed."""
        return all(run.status == "completed" and run.epochs for run in self.runs)

    @property
    def test_train_ratio(self) -> float:
        """Ratio of held-out to training images.

        It corrects for the dependence of runs on folds, which share training images.
        """
        folds = self.common_runs[0].folds
        return 1 / (folds - 1) if folds else 0.0

    def values(self, metric: str) -> list[float]:
        """Return the metric of each run after its last epoch; requires `all_completed`."""
        return [float(getattr(run.epochs[-1], metric)) for run in self.runs]


def reevaluated_trials(
    plan: ReevaluationPlan,
    records: Iterable[TrialRecord],
    runs: Iterable[TrialRecord],
    objective: Objective,
) -> list[ReevaluatedTrial]:
    """Return the re-evaluated trials, best first by the mean over their common runs.

    Trials with a diverged or failed run come last. A run that has not ended for all trials is left
    out; without a common run the list is empty.

    Args:
        plan: plan whose trials are compared, or those of its `previous` plan (see there).
        records: trials of the search.
        runs: runs of the re-evaluation, from its journal.
        objective: objective by which they are ranked.
    """
    records, runs = list(records), list(runs)
    found = _common_runs(plan, records, runs)
    if plan.previous and not plan.finished(runs):
        before = _common_runs(plan.previous, records, runs)
        if sum(len(one.runs) for one in before) > sum(len(one.runs) for one in found):
            found = before
    return sorted(found, key=lambda reevaluated: _rank_key(reevaluated, objective))


def _common_runs(
    plan: ReevaluationPlan, records: Iterable[TrialRecord], runs: Iterable[TrialRecord]
) -> list[ReevaluatedTrial]:
    """Return the plan's trials, unordered, with the runs that have ended for all of them."""
    planned = {r.trial_id: r for r in records if r.trial_id in plan.trial_ids and r.has_result}
    ended = {run.trial_id: run for run in runs if run.is_terminal}
    common = [run for run in plan.runs if all(run.trial_id(trial) in ended for trial in planned)]
    if not common:
        return []
    return [
        ReevaluatedTrial(
            record, tuple(common), tuple(ended[run.trial_id(trial_id)] for run in common)
        )
        for trial_id, record in planned.items()
    ]


def _rank_key(reevaluated: ReevaluatedTrial, objective: Objective) -> tuple[bool, float, str]:
    if not reevaluated.all_completed:
        return (True, 0.0, reevaluated.record.trial_id)
    values = reevaluated.values(objective.metric)
    return (False, objective.to_minimize(sum(values) / len(values)), reevaluated.record.trial_id)
