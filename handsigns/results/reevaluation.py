"""Trainings of a search's best configurations with fresh seeds, to measure them without its luck.

A search's best validation score is optimistic: it is the luckiest of many. Here a few of the best
are trained to the end again, each with the same new seeds, and on the same new cuts of training and
validation pictures where folds are asked for; so they can be compared run by run.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from handsigns.config.hyperparameters import seed_of
from handsigns.config.search import Objective
from handsigns.data.folds import hold_out
from handsigns.data.splits import DataInfo, Split
from handsigns.results.trial import NewTrial, TrialRecord

_NAME = re.compile(r"(\d+)-seed(\d+)(?:-fold(\d+)of(\d+))?")


@dataclass(frozen=True)
class Repeat:
    """One training of a configuration again.

    Attributes:
        trial_id: of the search's trial whose configuration it is.
        seed: its number, from 0.
        fold, folds: which of how many folds is held out; 0 of 0 keeps the validation split.
    """

    trial_id: str
    seed: int
    fold: int = 0
    folds: int = 0

    @property
    def name(self) -> str:
        """By which it stands in the journal, as a trial does by its id."""
        fold = f"-fold{self.fold}of{self.folds}" if self.folds else ""
        return f"{self.trial_id}-seed{self.seed}{fold}"

    @classmethod
    def named(cls, name: str) -> Repeat:
        """The repeat of that name.

        Raises:
            ValueError: it is no such name.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            raise ValueError(f"{name!r} names no repeat of a trial")
        trial_id, seed, fold, folds = match.groups()
        return cls(trial_id, int(seed), int(fold or 0), int(folds or 0))

    @property
    def run(self) -> tuple[int, int, int]:
        """What two configurations must share to be compared: seed and held-out pictures."""
        return (self.seed, self.fold, self.folds)

    def training_seed(self, study_seed: int) -> int:
        """Of weights, order and augmentation: none that the search has used; in [0, 2**63)."""
        return seed_of(f"repeat/{study_seed}/{self.seed}/{self.fold}/{self.folds}")

    def splits(self, train: Split, val: Split, study_seed: int) -> tuple[Split, Split]:
        """What it trains on, and what it is measured on."""
        if not self.folds:
            return train, val
        cut = seed_of(f"folds/{study_seed}/{self.seed}/{self.folds}")
        return hold_out((train, val), self.fold, self.folds, cut)


def splits_of(trial_id: str, train: Split, val: Split, study_seed: int) -> tuple[Split, Split]:
    """What a trial, or a repeat of one, trains on, and what it is measured on."""
    if _NAME.fullmatch(trial_id) is None:
        return train, val
    return Repeat.named(trial_id).splits(train, val, study_seed)


@dataclass(frozen=True)
class RepeatPlan:
    """What is to be trained again, and then compared; the latest one of a search counts.

    Attributes:
        trial_ids: of the search's trials.
        seeds: how many fresh ones.
        folds: 0 keeps the validation split.
    """

    trial_ids: Annotated[tuple[str, ...], Field(max_length=1000)]
    seeds: Annotated[int, Field(ge=1, le=1000)]
    folds: Annotated[int, Field(ge=0, le=100)]

    @property
    def runs(self) -> list[tuple[int, int, int]]:
        """What every trial is given; see `Repeat.run`."""
        return [
            (seed, fold, self.folds)
            for seed in range(self.seeds)
            for fold in range(self.folds or 1)
        ]

    @property
    def repeats(self) -> list[Repeat]:
        """Run by run, so that what is there early can be compared early."""
        return [Repeat(trial_id, *run) for run in self.runs for trial_id in self.trial_ids]


def pictures_of_rarest(info: DataInfo) -> int:
    """How many pictures in train and val the class has that has fewest."""
    return min(map(sum, zip(info.counts["train"], info.counts["val"], strict=True)))


def fitting_folds(folds: int, info: DataInfo) -> int:
    """As many folds, or as few as let each have a picture of each class; 0 where two do not."""
    fitting = min(folds, pictures_of_rarest(info))
    return fitting if fitting > 1 else 0


class RepeatSampling:
    """Hands out repeats in order; see `Sampling`, in whose place it stands.

    Args:
        repeats: those that are asked for.
        begun: names of those that were begun in earlier sessions.
        records: the search's trials, by their ids.
        study_seed: of the search.
    """

    def __init__(
        self,
        repeats: Sequence[Repeat],
        begun: Collection[str],
        records: Mapping[str, TrialRecord],
        study_seed: int,
    ) -> None:
        self.names = {repeat.name for repeat in repeats}
        """Of all that are asked for."""
        self._left = iter([repeat for repeat in repeats if repeat.name not in begun])
        self._records = records
        self._study_seed = study_seed

    def choose(self) -> NewTrial | None:
        """The next one; None where none is left."""
        repeat = next(self._left, None)
        if repeat is None:
            return None
        seed = repeat.training_seed(self._study_seed)
        record = self._records[repeat.trial_id]
        return NewTrial(repeat.name, record.params, seed, record.config)

    def finish(self, record: TrialRecord) -> None:
        """What one came to changes nothing of the others."""


@dataclass(frozen=True)
class Finalist:
    """A configuration that was measured again.

    Attributes:
        record: the search's trial.
        runs: its repeats, those that every finalist has ended, in one order for all.
    """

    record: TrialRecord
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
        plan: what is compared.
        records: the search's trials.
        repeats: as the journal of the repeats has them.
        objective: by which they are compared.
    """
    planned = {r.trial_id: r for r in records if r.trial_id in plan.trial_ids and r.has_result}
    ended = {run.trial_id: run for run in repeats if run.ended}
    common = [
        run for run in plan.runs if all(Repeat(trial, *run).name in ended for trial in planned)
    ]
    if not common:
        return []
    found = [
        Finalist(record, tuple(ended[Repeat(trial_id, *run).name] for run in common))
        for trial_id, record in planned.items()
    ]
    return sorted(found, key=lambda finalist: _key(finalist, objective))


def _key(finalist: Finalist, objective: Objective) -> tuple[bool, float, str]:
    if not finalist.steady:
        return (True, 0.0, finalist.record.trial_id)
    values = finalist.values(objective.metric)
    return (False, objective.signed(sum(values) / len(values)), finalist.record.trial_id)
