"""Simulated searches: time passes by the curves, and the policy's own objects decide."""

import math

import numpy as np
import pytest

from handsigns.config.hyperparameters import TrialConfig, trial_seed
from handsigns.policy.learning_curves import LearningCurve
from handsigns.policy.promotion import PromotionASHA
from handsigns.policy.sampler import Sampler
from handsigns.policy.simulation import SimulatedSearch, SimulatedWorkers
from handsigns.policy.stopping_rule import NoStopping

MAX_EPOCHS = 9
SPACE = {"learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1.0}}


class Curves:
    """Curves that fall to a loss given by the learning rate, at a second an epoch."""

    def predict(self, params, seed=None):
        floor = 0.1 + abs(math.log10(params["learning_rate"]) + 2)
        epochs = np.arange(1, MAX_EPOCHS + 1)
        return LearningCurve(floor + 1 / epochs, 1 / (1 + floor + 1 / epochs), 1.0)


@pytest.fixture
def make_search(make_search_config):
    def make(workers, promoting=False, space=SPACE, **budget):
        config = make_search_config(
            space=space,
            budget={"trials": 20, "max_epochs": MAX_EPOCHS, **budget},
            scheduler={"name": "asha_promotion", "grace_period": 1, "reduction_factor": 3},
            baseline=False,
        )
        rule = PromotionASHA(config) if promoting else NoStopping()
        return SimulatedSearch(config, Sampler(config), rule, Curves(), workers)

    return make


def test_without_early_stopping_time_is_epochs_by_workers(make_search):
    workers = SimulatedWorkers(4, start_seconds=0.5, report_seconds=0.25)
    epochs = list(make_search(workers).run())
    assert len(epochs) == 20 * MAX_EPOCHS
    assert epochs[-1].seconds == pytest.approx(5 * (0.5 + MAX_EPOCHS * 1.25))
    assert [e.seconds for e in epochs] == sorted(e.seconds for e in epochs)


def test_a_time_budget_ends_the_search(make_search):
    search = make_search(SimulatedWorkers(2, 0.0, 0.0), trials=10_000, time_budget=10.0)
    epochs = list(search.run())
    assert len(epochs) == 20
    assert max(e.seconds for e in epochs) == 10.0


def test_promotion_reaches_a_loss_sooner_than_no_stopping(make_search):
    def seconds_to(loss, search):
        return next(e.seconds for e in search.run() if e.metrics.val_loss < loss)

    def make(promoting):
        return make_search(SimulatedWorkers(2), promoting, trials=10_000, time_budget=1e5)

    assert seconds_to(0.3, make(promoting=True)) < 0.7 * seconds_to(0.3, make(promoting=False))


def test_each_trial_trains_its_epochs_once_in_order(make_search):
    workers = SimulatedWorkers(3, speed_std=0.5, mean_seconds_to_loss=20.0, seed=3)
    search = make_search(workers, promoting=True)
    trained: dict[str, list[int]] = {}
    for epoch in search.run():
        trained.setdefault(epoch.trial_id, []).append(epoch.metrics.epoch)
    assert len(trained) == 20
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in trained.values())
    lengths = sorted(map(len, trained.values()))
    assert lengths.count(1) > 10
    assert lengths[-1] == MAX_EPOCHS


def test_lost_workers_cost_the_epoch_that_they_train(make_search):
    def duration(workers):
        return list(make_search(workers).run())[-1].seconds

    steady = duration(SimulatedWorkers(2))
    assert duration(SimulatedWorkers(2, mean_seconds_to_loss=5.0)) > 1.05 * steady


def test_workers_come_and_go(make_search):
    arrivals = ((10.0, 3), (20.0, -2))
    workers = SimulatedWorkers(1, 0.0, 0.0, arrivals=arrivals)
    epochs = list(make_search(workers, trials=1000, time_budget=40.0).run())

    def per_second(start, end):
        return sum(start < e.seconds <= end for e in epochs) / (end - start)

    assert [per_second(*span) for span in ((0, 10), (11, 20), (22, 40))] == [1.0, 4.0, 2.0]


def test_a_simulation_repeats_itself(make_search):
    def run():
        workers = SimulatedWorkers(3, speed_std=0.3, mean_seconds_to_loss=50.0, seed=7)
        return [(e.seconds, e.trial_id) for e in make_search(workers, promoting=True).run()]

    assert run() == run()


def test_trials_have_the_configurations_of_the_sampler(make_search):
    search = make_search(SimulatedWorkers(2))
    list(search.run())
    first = search.trials[0]
    assert first.seed == trial_seed(search._config.seed, TrialConfig.from_params(first.params))


@pytest.mark.parametrize("workers", [1, 2])
def test_the_best_trial_of_an_exhausted_space_is_completed(make_search, workers):
    values = [0.01, 0.02, 0.03]
    space = {
        "learning_rate": {"type": "choice", "values": values},
        "dropout": {"type": "choice", "values": [0.1, 0.2]},
        "batch_size": 32,
    }
    search = make_search(SimulatedWorkers(workers), promoting=True, space=space)
    epochs = list(search.run())
    assert len(search.trials) == 6
    completed = {e.trial_id for e in epochs if e.metrics.epoch == MAX_EPOCHS}
    assert completed & {t.trial_id for t in search.trials if t.params["learning_rate"] == 0.01}
