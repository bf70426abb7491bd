"""Optuna storage that shows paused trials with the values they have so far."""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping

from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState


class PausedTrialsStorage(InMemoryStorage):  # type: ignore[misc]
    """In-memory storage in which a running trial can be read as pruned.

    Optuna knows no trials that pause. One that waits for its promotion has shown how good it is, as
    a pruned one has; but a pruned trial can't be continued. Here it stays running, and samplers
    read it as pruned at its rung.
    """

    def __init__(self) -> None:
        super().__init__()
        self._paused: dict[int, FrozenTrial] = {}

    def pause_trial(self, trial_id: int, values: Mapping[int, float]) -> None:
        """Show a running trial as pruned.

        Args:
            trial_id: Optuna's ID of the trial.
            values: its objective value by epoch.
        """
        trial = copy.copy(self.get_trial(trial_id))
        trial.state, trial.intermediate_values = TrialState.PRUNED, dict(values)
        self._paused[trial.number] = trial

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return the trials of a study, with paused ones as pruned; see Optuna's `BaseStorage`."""
        if states == (TrialState.WAITING,) or not self._paused:
            return list(super().get_all_trials(study_id, deepcopy, states))
        trials = [
            self._paused.get(trial.number, trial) if trial.state == TrialState.RUNNING else trial
            for trial in super().get_all_trials(study_id, deepcopy)
        ]
        return trials if states is None else [trial for trial in trials if trial.state in states]
