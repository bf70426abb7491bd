"""Retraining of a trial's configuration with fresh seeds: its plan, and the files of its runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from handsigns.config.hyperparameters import derive_seed
from handsigns.results.paths import SearchPaths
from handsigns.results.trial import TrialRecord, TrialSpec


@dataclass(frozen=True)
class RetrainingPlan:
    """Runs of a retraining, one per fresh seed, on the train and validation splits combined.

    Attributes:
        record: trial of the search whose configuration is trained.
        search_seed: seed of the search.
        seeds: number of fresh seeds.
        max_epochs: epochs of each run.
    """

    record: TrialRecord
    search_seed: int
    seeds: int
    max_epochs: int

    @property
    def specs(self) -> list[TrialSpec]:
        """Specifications of the runs: ``0007-retraining0``, …"""
        return [
            TrialSpec(
                trial_id=f"{self.record.trial_id}-retraining{number}",
                params=self.record.params,
                config=self.record.config,
                seed=retraining_seed(self.search_seed, number),
            )
            for number in range(self.seeds)
        ]

    @property
    def run_ids(self) -> list[str]:
        """IDs of the runs."""
        return [spec.trial_id for spec in self.specs]

    def select(self, records: Iterable[TrialRecord]) -> list[TrialRecord]:
        """Return the plan's runs among those of a journal, in the order of the plan."""
        by_id = {record.trial_id: record for record in records}
        return [by_id[run_id] for run_id in self.run_ids if run_id in by_id]

    def is_trained(self, run: TrialRecord) -> bool:
        """Return whether a run has trained all its epochs, or diverged; a failed one has not."""
        return run.status == "diverged" or len(run.epochs) >= self.max_epochs

    def finished(self, records: Iterable[TrialRecord]) -> bool:
        """Return whether every run of the plan is trained."""
        runs = self.select(records)
        return len(runs) == self.seeds and all(map(self.is_trained, runs))


@dataclass(frozen=True)
class RetrainingPaths(SearchPaths):
    """File paths of a trial's retraining, inside the folder of its search, until it is finished.

    Attributes:
        arguments: arguments of the command that resumes it, after the name of the search.
    """

    arguments: tuple[str, ...] = ()

    @classmethod
    def of_trial(
        cls, search: SearchPaths, trial_id: str, arguments: Iterable[str] = ()
    ) -> RetrainingPaths:
        """Return the paths of the retraining of a trial; each trial has a folder of its own."""
        return cls(search.root / "retraining" / trial_id, tuple(arguments))

    @property
    def name(self) -> str:
        """Name for messages."""
        return f"the retraining of trial {self.root.name} of {self.root_search.name}"

    @property
    def root_search(self) -> SearchPaths:
        """Paths of the search whose trial is retrained."""
        return SearchPaths(self.root.parent.parent)

    @property
    def resume_command(self) -> str:
        """Command that resumes the retraining."""
        return self.command("retrain", *self.arguments)


def retraining_seed(search_seed: int, number: int) -> int:
    """Return the seed of the n-th retraining, distinct from those of the search."""
    return derive_seed(f"retrain/{search_seed}/{number}")
