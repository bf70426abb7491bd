import pytest
from pydantic import ValidationError

from handsigns.config.hyperparameters import TrialConfig, trial_seed


def test_seeds_differ_by_study_and_configuration_and_nothing_else():
    a, b = TrialConfig(dropout=0.1), TrialConfig(dropout=0.2)
    seeds = {trial_seed(1, a), trial_seed(1, b), trial_seed(2, a), trial_seed(2, b)}
    assert len(seeds) == 4
    assert trial_seed(1, TrialConfig.from_params({"dropout": 0.1})) == trial_seed(1, a)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_unknown_names_and_values_out_of_bounds_are_refused():
    for params in ({"droput": 0.1}, {"dropout": 1.0}, {"batch_size": 1.5}, {"optimizer": "lion"}):
        with pytest.raises(ValidationError):
            TrialConfig.from_params(params)
