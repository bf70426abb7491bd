import math

import numpy as np
import pytest

from handsigns.config.sections import Objective
from handsigns.policy.forecast import (
    Estimate,
    Forecaster,
    Target,
    find_targets,
    searches_of,
    worthwhile_workers,
)
from handsigns.policy.learning_curves import LearningCurve, LearningCurveModel
from handsigns.policy.limited_space import LimitedSpace, sample_space
from handsigns.policy.recording import differences, read_recording
from handsigns.policy.sampler import Sampler
from handsigns.policy.simulation import SimulatedSearch, SimulatedWorkers
from handsigns.results.networks import NetworkProfile
from handsigns.tuning.scheduler import make_stopping_rule
from tests.support.scripted import SPACE

EPOCHS = 18


class KnownCurves:
    """Learning curves of a known family, with noise that depends on the seed."""

    def predict(self, params, seed=None):
        distance = abs(math.log10(params["learning_rate"] / 4e-3))
        floor = 0.05 * math.exp(1.3 * distance + 2 * abs(params["dropout"] - 0.15))
        epochs = np.arange(1, EPOCHS + 1)
        noise = np.random.default_rng(seed).normal(0.0, 0.06, EPOCHS + 1)
        loss = (floor + 1.7 * np.exp(-epochs / (3 + 3 * distance))) * np.exp(noise[0] + noise[1:])
        return LearningCurve(loss, np.exp(-0.7 * loss), 16 / params["batch_size"])


class RecordingSampler(Sampler):
    """Sampler that keeps the trials that ended or paused."""

    def __init__(self, search_config):
        super().__init__(search_config)
        self.recorded = {}

    def on_trial_complete(self, record):
        self.recorded[record.trial_id] = record
        super().on_trial_complete(record)

    def on_trial_pause(self, record, epoch):
        self.recorded[record.trial_id] = record
        super().on_trial_pause(record, epoch)


@pytest.fixture
def run_pilot(make_search_config):
    """Return a function that returns the configuration and the trials of a simulated pilot."""

    def run(trials=40, **sections):
        budget = {"trials": trials, "max_epochs": EPOCHS}
        config = make_search_config(budget=budget, baseline=False, **sections)
        sampler, rule = RecordingSampler(config), make_stopping_rule(config)
        search = SimulatedSearch(config, sampler, rule, KnownCurves(), SimulatedWorkers(2))
        for _ in search.run():
            pass
        return config, list(sampler.recorded.values())

    return run


def no_report(done, total):
    pass


@pytest.mark.slow
def test_most_searches_take_what_was_forecast(run_pilot):
    config, trials = run_pilot(objective={"metric": "val_accuracy"})
    recording = read_recording(trials, EPOCHS, config.objective)
    assert recording.is_sufficient
    assert recording.num_completed < len(recording.curves) / 2, "most curves are extrapolated"
    model = LearningCurveModel(config.space, recording.curves)
    targets = find_targets(config, model)
    forecast = Forecaster(config, model, targets, make_stopping_rule).estimate(
        [4], 15, None, no_report
    )
    other_seeds = config.model_copy(update={"seed": 10_000})
    actual = Forecaster(other_seeds, KnownCurves(), targets, make_stopping_rule)
    inside = []
    for estimate in forecast:
        low, high = (math.inf if end is None else end for end in estimate.interval)
        for seed in range(10):
            reached = list(actual.simulate(estimate.workers, seed))
            inside.append(low <= reached[targets.index(estimate.target)].seconds <= high)
    assert np.mean(inside) > 0.6


def test_a_forecast_stays_within_the_limits(make_search_config):
    seen = set()

    class WidthCurves(KnownCurves):
        def predict(self, params, seed=None):
            seen.add(params["channel_width"])
            return super().predict(params, seed)

    config = make_search_config(
        SPACE, budget={"trials": 30, "max_epochs": EPOCHS}, limits={"parameters": 1600}
    )
    limited = LimitedSpace(
        config, sample_space(config), lambda c: NetworkProfile(100 * c.channel_width, 1)
    )
    curves = WidthCurves()
    targets = find_targets(config, curves, limited)
    forecaster = Forecaster(config, curves, targets, make_stopping_rule, limited)
    list(forecaster.simulate(4, seed=1))
    assert seen == {8, 12, 16}


def test_targets_are_quantiles_of_random_configurations(make_search_config):
    config = make_search_config(budget={"max_epochs": EPOCHS})
    targets = find_targets(config, KnownCurves())
    assert [target.share for target in targets] == [0.1, 0.03, 0.01]
    rng = np.random.default_rng(3)
    finals = [
        KnownCurves()
        .predict(
            {
                "learning_rate": 10 ** rng.uniform(-4, -1),
                "dropout": rng.uniform(0, 0.5),
                "batch_size": 8,
            },
            seed,
        )
        .loss[-1]
        for seed in range(5000)
    ]
    expected = np.quantile(finals, [0.1, 0.03, 0.01])
    assert [target.value for target in targets] == pytest.approx(expected, rel=0.06)
    accuracy = make_search_config(
        budget={"max_epochs": EPOCHS}, objective={"metric": "val_accuracy"}
    )
    reached = [target.value for target in find_targets(accuracy, KnownCurves())]
    assert reached == pytest.approx(np.exp(-0.7 * expected), rel=0.01)


def test_unreached_targets_have_no_time(make_search_config):
    config = make_search_config(
        space={"batch_size": {"type": "choice", "values": [8, 16]}, "learning_rate": 0.004,
               "dropout": 0.15},
        budget={"max_epochs": EPOCHS},
    )  # fmt: skip
    targets = [Target(0.1, 0.09), Target(0.01, 1e-6)]
    forecaster = Forecaster(config, KnownCurves(), targets, make_stopping_rule)
    easy, hard = forecaster.estimate([2], 9, 3.0, no_report)
    assert easy.reached == easy.searches == 9
    assert easy.epochs <= 2 * EPOCHS, "the space has two configurations"
    assert 18 < easy.seconds < 18 * 2.2, "18 epochs of one or two seconds"
    assert easy.cost == pytest.approx(3.0 * easy.worker_hours)
    assert easy.worker_hours == pytest.approx(2 * easy.seconds / 3600)
    assert (hard.reached, hard.seconds, hard.interval, hard.cost) == (0, None, (None, None), None)


def test_more_workers_are_sooner(run_pilot):
    config, _ = run_pilot(trials=1)
    targets = find_targets(config, KnownCurves())[:2]
    forecaster = Forecaster(config, KnownCurves(), targets, make_stopping_rule)
    estimates = forecaster.estimate([1, 16], 9, None, no_report)
    one, many = ([e.seconds for e in estimates if e.workers == n] for n in (1, 16))
    assert all(more < 0.7 * few for few, more in zip(one, many, strict=True))


def test_fewer_searches_of_many_workers_but_enough_for_an_interval():
    counts = [searches_of(workers, 20) for workers in (1, 16, 64, 256)]
    assert counts == [20, 20, 10, 9]


@pytest.mark.parametrize(
    ("seconds", "workers"),
    [
        ([100, 50, 25], 4),
        ([100, 50, 45], 2),
        ([100, 90, 20], 1),
        ([None, 50, 25], 4),
        ([None, None, None], None),
    ],
)
def test_workers_pay_while_doubling_saves_a_third(seconds, workers):
    estimates = [
        Estimate(count, Target(0.1, 1.0), 9, 9, time, (time, time), 1, 1.0, None)
        for count, time in zip((1, 2, 4), seconds, strict=True)
    ]
    assert worthwhile_workers(estimates) == workers


def test_diverged_trials_are_recorded_as_the_poorest(make_record):
    records = [
        make_record("0000", [1.0, 0.5]),
        make_record("0001", [1.2, 0.8]),
        make_record("0002", [1.5], "stopped"),
        make_record("0003", [9.0], "diverged"),
        make_record("0004", [0.1], "running"),
        make_record("0005", [], "failed"),
    ]
    recording = read_recording(records, 2, Objective())
    finals = [trial.curve.loss[-1] for trial in recording.curves]
    assert finals[:2] == [0.5, 0.8]
    assert finals[3] == pytest.approx(max(finals[:3]))
    assert (len(finals), recording.num_completed) == (4, 2)
    assert recording.best_completed == 0.5, "not the extrapolated end of a stopped trial"


def test_recorded_scores_near_one_are_kept(make_record):
    records = [make_record(f"000{k}", [0.1, 0.05], accuracy=0.9995) for k in range(3)]
    recording = read_recording(records, 2, Objective(), clip=5e-5)
    assert recording.curves[0].curve.score[-1] == pytest.approx(0.9995)


def test_the_first_trials_of_a_large_search_are_read(make_record, monkeypatch):
    monkeypatch.setattr("handsigns.policy.recording._MAX_TRIALS", 3)
    records = [
        make_record("0000", [1.0, 0.5]),
        make_record("0001", [9.0], "diverged"),
        make_record("0002", [1.5], "paused"),
        make_record("0003", [1.0, 0.4]),
        make_record("0004", [9.0], "diverged"),
    ]
    recording = read_recording(records, 2, Objective())
    assert (len(recording.curves), recording.num_completed) == (3, 1)
    assert recording.best_completed == 0.4, "of all trials"
    monkeypatch.setattr("handsigns.policy.recording._MAX_TRIALS", 1)
    assert read_recording(records[1:], 2, Objective()).curves == ()


def test_looser_limits_than_the_recorded_are_named(make_search_config):
    recorded = make_search_config(SPACE, limits={"parameters": 5000})
    assert differences(make_search_config(SPACE, limits={"parameters": 4000}), recorded) == []
    for limits in ({}, {"parameters": 6000}):
        (difference,) = differences(make_search_config(SPACE, limits=limits), recorded)
        assert difference == "limits.parameters is above that of the recorded space, 5000"


def test_differences_of_the_planned_space_are_named(make_search_config):
    recorded = make_search_config(SPACE)
    narrower = SPACE | {
        "dropout": {"type": "choice", "values": [0.0, 0.2]},
        "batch_size": {"type": "choice", "values": [16, 32]},
        "learning_rate": {"type": "log_uniform", "low": 1e-3, "high": 1e-2},
        "channel_width": 16,
    }
    assert differences(make_search_config(narrower), recorded) == []
    wider = {name: SPACE[name] for name in ("batch_size", "optimizer", "momentum")} | {
        "learning_rate": {"type": "log_uniform", "low": 1e-5, "high": 1e-2},
        "channel_width": 32,
        "weight_decay": {"type": "log_uniform", "low": 1e-5, "high": 1e-2},
    }
    planned = make_search_config(
        wider, budget={"max_epochs": 9}, objective={"metric": "val_accuracy"}
    )
    assert differences(planned, recorded) == [
        "learning_rate has other values or conditions than in the recorded space",
        "channel_width has other values or conditions than in the recorded space",
        "weight_decay is not in the recorded space",
        "dropout is in the recorded space only",
        "max_epochs is 9, not 30",
        "the objective is val_accuracy, not val_loss",
    ]
