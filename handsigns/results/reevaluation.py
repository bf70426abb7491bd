"""Trainings of a search's best configurations with fresh seeds, to measure them without its luck.

A search's best validation score is optimistic: it is the luckiest of many. Here a few of the best
are trained to the end again, each with the same new seeds, and on the same new cuts of training and
validation pictures where folds are asked for; so they can be compared run by run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

from pydantic import Field

from handsigns.config.hyperparameters import seed_of
from handsigns.config.search import Objective
from handsigns.data.folds import Fold
from handsigns.data.splits import DataInfo
from handsigns.errors import ResultsError
from handsigns.io.json_file import read_json, write_json
from handsigns.results.paths import RepeatPaths
from handsigns.results.trial import TrialRecord, TrialSpec


class Run(NamedTuple):
    """What two configurations must share to be compared: the seed and the held-out images.

    Attributes:
        seed: its number, from 0.
        fold, folds: which of how many folds is held out; 0 of 0 keeps the validation split.
    """

    seed: int
    fold: int = 0
    folds: int = 0

    def trial_id(self, trial_id: str) -> str:
        """Return the id of this run of a trial's configuration: ``0007-seed1-fold0of4``."""
        fold = f"-fold{self.fold}of{self.folds}" if self.folds else ""
        return f"{trial_id}-seed{self.seed}{fold}"

    def training_seed(self, study_seed: int) -> int:
        """Return the seed of weights, order and augmentation: none that the search has used."""
        return seed_of(f"repeat/{study_seed}/{self.seed}/{self.fold}/{self.folds}")

    def held_out(self, study_seed: int) -> Fold | None:
        """Return the fold that is held out; None where the validation split is kept."""
        if not self.folds:
            return None
        cut = seed_of(f"folds/{study_seed}/{self.seed}/{self.folds}")
        return Fold(self.fold, self.folds, cut)

    def spec(self, record: TrialRecord, study_seed: int) -> TrialSpec:
        """Return this run of a trial's configuration."""
        return TrialSpec(
            trial_id=self.trial_id(record.trial_id),
            params=record.params,
            config=record.config,
            seed=self.training_seed(study_seed),
            fold=self.held_out(study_seed),
        )


@dataclass(frozen=True)
class RepeatPlan:
    """What is to be trained again, and then compared.

    Attributes:
        trial_ids: of the search's trials.
        seeds: how many fresh ones.
        folds: 0 keeps the validation split.
        earlier: the latest finished plan before it, whose result counts until this one has as
            many runs to compare, or is finished.
    """

    trial_ids: Annotated[tuple[str, ...], Field(max_length=1000)]
    seeds: Annotated[int, Field(ge=1, le=1000)]
    folds: Annotated[int, Field(ge=0, le=100)]
    earlier: RepeatPlan | None = field(default=None, compare=False)

    @property
    def runs(self) -> list[Run]:
        """The runs that every trial is given."""
        return [
            Run(seed, k, self.folds) for seed in range(self.seeds) for k in range(self.folds or 1)
        ]

    @property
    def repeats(self) -> list[tuple[str, Run]]:
        """A trial's id with each run, run by run: what is there early can be compared early."""
        return [(trial_id, run) for run in self.runs for trial_id in self.trial_ids]

    @property
    def names(self) -> set[str]:
        """The ids of all runs."""
        return {run.trial_id(trial_id) for trial_id, run in self.repeats}

    def finished(self, runs: Iterable[TrialRecord]) -> bool:
        """Return whether every run of it has ended."""
        return self.names <= {run.trial_id for run in runs if run.ended}


def read_plan(paths: RepeatPaths) -> RepeatPlan | None:
    """Return the latest plan of a re-evaluation; None where there is none.

    Raises:
        ResultsError: it is damaged.
    """
    try:
        return read_json(paths.plan, RepeatPlan, f"to have it made anew: {paths.go_on}")
    except FileNotFoundError:
        return None


def write_plan(paths: RepeatPaths, plan: RepeatPlan, runs: Iterable[TrialRecord]) -> None:
    """Make a plan the latest one; the result of the one before counts until it is finished."""
    try:
        before = read_plan(paths)
    except ResultsError:
        before = None
    if before is not None:
        earlier = dataclasses.replace(before, earlier=None)
        earlier_counts = before != plan and before.finished(runs)
        plan = dataclasses.replace(plan, earlier=earlier if earlier_counts else before.earlier)
    write_json(paths.plan, dataclasses.asdict(plan))


def pictures_of_rarest(info: DataInfo) -> int:
    """How many pictures in train and val the class has that has fewest."""
    return min(map(sum, zip(info.counts["train"], info.counts["val"], strict=True)))


def fitting_folds(folds: int, info: DataInfo) -> int:
    """As many folds, or as few as let each have a picture of each class; 0 where two do not."""
    fitting = min(folds, pictures_of_rarest(info))
    return fitting if fitting > 1 else 0


@dataclass(frozen=True)
class Finalist:
    """A configuration that was measured again.

    Attributes:
        record: the search's trial.
        compared: the runs that every finalist has ended, in one order for all.
        runs: what came of each, in that order.
    """

    record: TrialRecord
    compared: tuple[Run, ...]
    runs: tuple[TrialRecord, ...]

    @property
    def steady(self) -> bool:
        """Whether all its repeats came to a result."""
        return all(run.status == "completed" and run.epochs for run in self.runs)

    def values(self, metric: str) -> list[float]:
        """The metric of each run at its end; of a steady finalist."""
        return [float(getattr(run.epochs[-1], metric)) for run in self.runs]


def finalists(
    plan: RepeatPlan,
    records: Iterable[TrialRecord],
    repeats: Iterable[TrialRecord],
    objective: Objective,
) -> list[Finalist]:
    """The configurations that were measured again, best first by the mean over their common runs.

    Those of which a run diverged or failed come last. Runs that one of them has not ended yet are
    left out for all; without a common run there are none.

    Args:
        plan: what is compared; or its earlier one, see there.
        records: the search's trials.
        repeats: as the journal of the repeats has them.
        objective: by which they are compared.
    """
    records, repeats = list(records), list(repeats)
    found = _common_runs(plan, records, repeats)
    if plan.earlier and not plan.finished(repeats):
        before = _common_runs(plan.earlier, records, repeats)
        if sum(len(one.runs) for one in before) > sum(len(one.runs) for one in found):
            found = before
    return sorted(found, key=lambda finalist: _key(finalist, objective))


def _common_runs(
    plan: RepeatPlan, records: Iterable[TrialRecord], repeats: Iterable[TrialRecord]
) -> list[Finalist]:
    """The plan's configurations with the runs that all of them have ended, in no order."""
    planned = {r.trial_id: r for r in records if r.trial_id in plan.trial_ids and r.has_result}
    ended = {run.trial_id: run for run in repeats if run.ended}
    common = [run for run in plan.runs if all(run.trial_id(trial) in ended for trial in planned)]
    if not common:
        return []
    return [
        Finalist(record, tuple(common), tuple(ended[run.trial_id(trial_id)] for run in common))
        for trial_id, record in planned.items()
    ]


def _key(finalist: Finalist, objective: Objective) -> tuple[bool, float, str]:
    if not finalist.steady:
        return (True, 0.0, finalist.record.trial_id)
    values = finalist.values(objective.metric)
    return (False, objective.signed(sum(values) / len(values)), finalist.record.trial_id)
