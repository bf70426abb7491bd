import pytest
from pydantic import ValidationError

from handsigns.config.hyperparameters import TrialConfig, trial_seed
from handsigns.config.parameters import Uniform


def test_trial_seeds_depend_on_search_seed_and_configuration_only():
    a, b = TrialConfig(dropout=0.1), TrialConfig(dropout=0.2)
    seeds = {trial_seed(1, a), trial_seed(1, b), trial_seed(2, a), trial_seed(2, b)}
    assert len(seeds) == 4
    assert trial_seed(1, TrialConfig.from_params({"dropout": 0.1})) == trial_seed(1, a)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_of_earlier_configurations_are_kept():
    earlier = set(TrialConfig().seed_fields())
    assert not earlier & {"loss", "class_weights", "sampling"}
    assert trial_seed(1, TrialConfig(sampling="balanced")) != trial_seed(1, TrialConfig())


def test_unknown_names_and_out_of_bounds_values_are_rejected():
    for params in ({"droput": 0.1}, {"dropout": 1.0}, {"batch_size": 1.5}, {"optimizer": "lion"}):
        with pytest.raises(ValidationError):
            TrialConfig.from_params(params)


def test_values_of_a_stepped_range_stay_within_it():
    parameter = Uniform(type="uniform", low=0.1, high=0.3, step=0.1)
    assert parameter.values() == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("step", [1e-9, 1e-320])
def test_a_range_of_too_many_steps_lists_no_values(step):
    assert Uniform(type="uniform", low=0.0, high=1.0, step=step).values() is None
