"""A paused trial: running for Optuna's storage, pruned for its samplers."""

import optuna
import pytest
from optuna.trial import TrialState

from handsigns.policy.optuna_storage import PausedTrialsStorage


@pytest.fixture
def study():
    return optuna.create_study(storage=PausedTrialsStorage())


def pause(study, trial, values):
    study._storage.pause_trial(trial._trial_id, values)


def test_a_paused_trial_is_read_as_pruned_with_its_values(study):
    first, second = study.ask(), study.ask()
    first.suggest_float("x", 0, 1)
    pause(study, first, {1: 0.5, 3: 0.4})
    assert [trial.state for trial in study.trials] == [TrialState.PRUNED, TrialState.RUNNING]
    assert study.trials[0].intermediate_values == {1: 0.5, 3: 0.4}
    assert [t.number for t in study.get_trials(states=[TrialState.PRUNED])] == [0]
    assert [t.number for t in study.get_trials(states=[TrialState.RUNNING])] == [second.number]


def test_a_promoted_trial_can_pause_again_and_complete(study):
    trial = study.ask()
    pause(study, trial, {1: 0.5})
    pause(study, trial, {1: 0.5, 3: 0.3})
    assert study.trials[0].intermediate_values == {1: 0.5, 3: 0.3}
    study.tell(trial, 0.2)
    assert study.trials[0].state == TrialState.COMPLETE
    assert study.best_value == 0.2


def test_tpe_learns_from_paused_trials():
    """Where paused trials say that small values are good, TPE suggests small values."""
    sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=10, constant_liar=True)
    study = optuna.create_study(storage=PausedTrialsStorage(), sampler=sampler)
    for _ in range(60):
        trial = study.ask()
        pause(study, trial, {1: trial.suggest_float("x", 0, 1)})
    suggested = [trial.params["x"] for trial in study.trials]
    assert sum(suggested[30:]) < 0.5 * sum(suggested[:30])
