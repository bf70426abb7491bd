"""Optuna storage that shows samplers paused trials as pruned, and a bounded number of trials."""

from __future__ import annotations

import copy
import heapq
from collections.abc import Container, Mapping, Sequence

from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

MAX_GOOD_TRIALS = 25
"""Number of good trials that TPE at most tells from all others."""
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
"""States of the trials that samplers learn from; a paused trial is read as pruned."""
_Rank = tuple[int, int, float]


class PausedTrialsStorage(InMemoryStorage):  # type: ignore[misc]
    """In-memory storage in which a running trial can be read as pruned.

    Optuna knows no trials that pause. One that waits for its promotion has shown how good it is, as
    a pruned one has; but a pruned trial can't be continued. Here it stays running, and samplers
    read it as pruned at its rung.

    TPE reads all trials for each parameter that it suggests, so that with thousands of trials a
    suggestion takes a tenth of a second, and a thousand workers wait. It tells at most
    `MAX_GOOD_TRIALS` of them from the others, of which it estimates a density; a share of these
    serves it as well.

    Args:
        max_others: number of trials that samplers read beside the `MAX_GOOD_TRIALS` best, evenly
            spaced in the order of their start; None for all.
    """

    def __init__(self, max_others: int | None = None) -> None:
        super().__init__()
        self._max_others = max_others
        self._paused: dict[int, FrozenTrial] = {}
        self._ranks: dict[int, _Rank] = {}
        self._shown: list[FrozenTrial] | None = None

    def pause_trial(self, trial_id: int, values: Mapping[int, float]) -> None:
        """Show a running trial as pruned.

        Args:
            trial_id: Optuna's ID of the trial.
            values: its objective value by epoch.
        """
        trial = copy.copy(self.get_trial(trial_id))
        trial.state, trial.intermediate_values = TrialState.PRUNED, dict(values)
        self._on_change(trial)
        self._paused[trial.number] = trial

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial; see Optuna's `BaseStorage`."""
        trial_id = int(super().create_new_trial(study_id, template_trial))
        self._on_change(self.get_trial(trial_id))
        return trial_id

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set the state and the values of a trial; see Optuna's `BaseStorage`."""
        was_set = bool(super().set_trial_state_values(trial_id, state, values))
        self._on_change(self.get_trial(trial_id))
        return was_set

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return the trials of a study, with paused ones as pruned; see Optuna's `BaseStorage`.

        Without a copy, as samplers read them, they are bounded in number.
        """
        if states == (TrialState.WAITING,):
            return list(super().get_all_trials(study_id, deepcopy, states))
        if deepcopy or self._max_others is None:
            trials = self._all_trials(study_id, deepcopy)
        else:
            if self._shown is None:
                self._shown = self._thin_out(study_id, self._max_others)
            trials = self._shown
        return trials if states is None else [trial for trial in trials if trial.state in states]

    def num_ended(self) -> int:
        """Return the number of trials that samplers learn from: complete, pruned or paused."""
        return len(self._ranks)

    def _all_trials(self, study_id: int, deepcopy: bool) -> list[FrozenTrial]:
        trials: list[FrozenTrial] = super().get_all_trials(study_id, deepcopy)
        for number, paused in self._paused.items():
            trials[number] = paused
        return trials

    def _on_change(self, trial: FrozenTrial) -> None:
        self._shown = None
        if trial.state.is_finished():
            self._paused.pop(trial.number, None)
        if trial.state in _ENDED:
            self._ranks[trial.number] = _rank(trial)
        else:
            self._ranks.pop(trial.number, None)

    def _thin_out(self, study_id: int, max_others: int) -> list[FrozenTrial]:
        trials = self._all_trials(study_id, deepcopy=False)
        states = (*_ENDED, TrialState.RUNNING)
        read = [number for number, trial in enumerate(trials) if trial.state in states]
        if len(read) <= MAX_GOOD_TRIALS + max_others:
            return trials
        sign = 1 if self.get_study_directions(study_id) == [StudyDirection.MINIMIZE] else -1
        ranks = [(state, step, sign * value, k) for k, (state, step, value) in self._ranks.items()]
        good = {number for *_, number in heapq.nsmallest(MAX_GOOD_TRIALS, ranks)}
        others = [number for number in read if number not in good]
        spacing = len(others) / max_others
        shown = good.union(others[int(k * spacing)] for k in range(max_others))
        return [trials[number] for number in sorted(shown)]


def _rank(trial: FrozenTrial) -> _Rank:
    """Return what TPE sorts trials by, the best first: state, last step from the end, value."""
    if trial.state == TrialState.COMPLETE:
        return 0, 0, trial.value
    if trial.state == TrialState.PRUNED and trial.intermediate_values:
        step, value = max(trial.intermediate_values.items())
        return 1, -step, value
    return 2, 0, 0.0
