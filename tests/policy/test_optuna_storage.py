"""What samplers read: paused trials as pruned, and of many trials the best and a share."""

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


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_of_many_trials_the_best_and_a_share_are_read(direction):
    """The best are those that TPE would take: completed ones, then those of the last epochs."""
    study = optuna.create_study(storage=PausedTrialsStorage(max_others=20), direction=direction)
    for k in range(100):
        trial, value = study.ask(), (k + 1) / 100 if direction == "minimize" else -(k + 1) / 100
        if k % 10 == 0:
            study.tell(trial, value)
        elif k % 10 == 1:
            study.tell(trial, state=TrialState.FAIL)
        elif k % 10 < 5:
            pause(study, trial, {1: value, 3: value})
        elif k % 10 < 8:
            pause(study, trial, {1: value})
    read = study.get_trials(deepcopy=False)
    assert len(read) == 25 + 20
    assert study._storage.num_ended() == 70
    assert {trial.state for trial in read} == set(TrialState) - {
        TrialState.FAIL,
        TrialState.WAITING,
    }
    numbers = [trial.number for trial in read]
    completed = range(0, 100, 10)
    deepest = [k for k in range(100) if k % 10 in (2, 3, 4)][:15]
    assert {*completed, *deepest} <= set(numbers)
    others = [k for k in numbers if k not in (*completed, *deepest)]
    assert len([k for k in others if k >= 50]) == pytest.approx(10, abs=2), "evenly spaced"
    assert len(study.trials) == 100


def test_all_of_few_trials_are_read():
    study = optuna.create_study(storage=PausedTrialsStorage(max_others=20))
    for _ in range(45):
        study.tell(study.ask(), 0.5)
    assert len(study.get_trials(deepcopy=False)) == 45
    study.tell(study.ask(), 0.4)
    assert len(study.get_trials(deepcopy=False)) == 45
    assert study.get_trials(deepcopy=False)[-1].number == 45, "the new one is the best"
