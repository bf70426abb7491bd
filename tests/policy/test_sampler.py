import math

import pytest

from handsigns.config.hyperparameters import TrialConfig
from handsigns.policy.sampler import Sampler
from tests.support import records

SEARCHERS = ["tpe", "random", "gp", "qmc", "cmaes"]
MANY = {"trials": 100}
STARTUP = {"tpe": {"startup_trials": 5}, "gp": {"startup_trials": 4}}


def smooth_loss(params):
    """Return a smooth loss with a known minimum: learning_rate 1e-2, dropout 0.25."""
    return (math.log10(params["learning_rate"]) + 2) ** 2 + 4 * (params["dropout"] - 0.25) ** 2


def constant_loss(_):
    return 0.5


def run(sampler, make_record, trials, loss=smooth_loss):
    """Suggest and complete up to `trials` trials, one after another; return their records."""
    records = []
    for _ in range(trials):
        spec = sampler.suggest()
        if spec is None:
            break
        record = make_record(spec.trial_id, [loss(spec.params)], params=spec.params)
        sampler.on_trial_complete(record)
        records.append(record)
    return records


@pytest.fixture
def make_search_config(make_search_config):
    """Return a factory of search configurations with a large trial budget."""

    def make(space=records.SPACE, budget=MANY, **sections):
        return make_search_config(space, budget=budget, **sections)

    return make


@pytest.fixture
def space():
    return {
        "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1},
        "dropout": {"type": "uniform", "low": 0.0, "high": 0.5},
    }


@pytest.mark.versions
@pytest.mark.parametrize("name", SEARCHERS)
def test_searchers_stay_in_the_space_without_duplicates(
    name, make_search_config, make_record, space
):
    config = make_search_config(space, searcher={"name": name, **STARTUP.get(name, {})})
    trials = 7 if name == "gp" else 14
    records = run(Sampler(config), make_record, trials)
    assert [r.trial_id for r in records] == [f"{i:04d}" for i in range(trials)]
    assert len({r.config for r in records}) == trials
    for record in records:
        assert 1e-4 <= record.config.learning_rate <= 1e-1
        assert 0 <= record.config.dropout <= 0.5


@pytest.mark.versions
@pytest.mark.parametrize("name", ["tpe", "cmaes"])
def test_model_based_searchers_beat_random_search(name, make_search_config, make_record, space):
    def mean_late_loss(searcher):
        losses = []
        for seed in range(3):
            config = make_search_config(
                space, searcher={"name": searcher}, seed=seed, baseline=False
            )
            records = run(Sampler(config), make_record, 40)
            losses += [r.epochs[-1].val_loss for r in records[-15:]]
        return sum(losses) / len(losses)

    assert mean_late_loss(name) < 0.6 * mean_late_loss("random")


def test_the_first_trial_is_the_baseline(make_search_config):
    params = Sampler(make_search_config()).suggest().params
    assert params == {"learning_rate": 3e-3, "dropout": 0.2, "batch_size": 16}


def test_without_baseline_the_first_trial_depends_on_the_seed(make_search_config):
    suggestions = [
        Sampler(make_search_config(baseline=False, seed=seed)).suggest().params
        for seed in (1, 1, 2)
    ]
    assert suggestions[0] == suggestions[1] != suggestions[2]


def test_grid_search_tries_each_point_once_in_order(make_search_config, make_record):
    space = {
        "batch_size": {"type": "choice", "values": [8, 16]},
        "channel_width": {"type": "integer", "low": 4, "high": 12, "step": 4},
        "dropout": 0.1,
    }
    config = make_search_config(space, searcher={"name": "grid"})
    records = run(Sampler(config), make_record, 99, constant_loss)
    assert [(r.config.batch_size, r.config.channel_width) for r in records] == [
        (8, 4), (8, 8), (8, 12), (16, 4), (16, 8), (16, 12)
    ]  # fmt: skip
    assert all(r.params["dropout"] == 0.1 for r in records)


def test_large_grid_is_not_held_in_memory(make_search_config, make_record):
    """All its configurations would take hours to list, and 90 GB."""
    values = {"type": "uniform", "low": 0.0, "high": 0.9, "step": 0.01}
    names = ("dropout", "momentum", "label_smoothing", "weight_decay")
    space = dict.fromkeys(names, values)
    config = make_search_config(space, searcher={"name": "grid"}, budget={"trials": 5})
    records = run(Sampler(config), make_record, 99, constant_loss)
    assert [record.config.weight_decay for record in records] == [0.0, 0.01, 0.02, 0.03, 0.04]


def test_grid_search_skips_duplicates_of_conditional_parameters(make_search_config, make_record):
    space = {
        "optimizer": {"type": "choice", "values": ["adamw", "sgd"]},
        "momentum": {"type": "choice", "values": [0.8, 0.85], "when": {"optimizer": "sgd"}},
    }
    config = make_search_config(space, searcher={"name": "grid"}, budget={})
    assert config.budget.trials == 3
    records = run(Sampler(config), make_record, 99, constant_loss)
    assert [r.params for r in records] == [
        {"optimizer": "adamw"},
        {"optimizer": "sgd", "momentum": 0.8},
        {"optimizer": "sgd", "momentum": 0.85},
    ]


def test_an_exhausted_space_ends_the_search(make_search_config, make_record):
    space = {"batch_size": {"type": "choice", "values": [8, 16, 32]}}
    for name in ("tpe", "random"):
        config = make_search_config(space, searcher={"name": name}, budget={"trials": 50})
        records = run(Sampler(config), make_record, 50, constant_loss)
        assert sorted(r.config.batch_size for r in records) == [8, 16, 32]


DISCRETE = {
    name: {"type": "choice", "values": values}
    for name, values in {
        "batch_size": [8, 16, 32],
        "channel_width": [4, 8, 12],
        "dropout": [0.0, 0.2, 0.4],
    }.items()
}


def rank(params):
    return sum(DISCRETE[name]["values"].index(value) for name, value in params.items())


def test_every_configuration_of_a_discrete_space_is_tried(make_search_config, make_record):
    """TPE soon suggests nothing but the best again; then untried ones are drawn."""
    records = run(Sampler(make_search_config(DISCRETE)), make_record, 40, rank)
    assert len({record.config for record in records}) == len(records) == 27


def test_a_resumed_search_of_a_discrete_space_continues_alike(make_search_config, make_record):
    config = make_search_config(DISCRETE)
    uninterrupted = Sampler(config)
    records = run(uninterrupted, make_record, 15, rank)
    resumed = Sampler(config)
    for record in records:
        resumed.restore_trial(record)
        resumed.on_trial_complete(record)
    further = [[r.params for r in run(s, make_record, 20, rank)] for s in (uninterrupted, resumed)]
    assert further[0] == further[1]
    assert len(further[0]) == 12


def test_conditional_parameters_are_sampled_only_if_active(make_search_config, make_record):
    space = {
        "optimizer": {"type": "choice", "values": ["adamw", "sgd"]},
        "momentum": {"type": "uniform", "low": 0.1, "high": 0.8, "when": {"optimizer": "sgd"}},
        "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1},
    }
    config = make_search_config(space)
    records = run(Sampler(config), make_record, 30, lambda params: params["learning_rate"])
    for record in records:
        assert ("momentum" in record.params) == (record.params["optimizer"] == "sgd")
        if record.params["optimizer"] == "adamw":
            assert record.config.momentum == TrialConfig().momentum


def test_early_stopped_trials_do_not_mislead_the_sampler(make_search_config, make_record, space):
    """A loss after one epoch is not compared with one after several."""
    sampler = Sampler(make_search_config(space, baseline=False))
    for _ in range(40):
        spec = sampler.suggest()
        trial_id, params = spec.trial_id, spec.params
        if params["dropout"] > 0.25:
            # Has a lower loss, but was stopped after its first epoch.
            sampler.on_trial_complete(make_record(trial_id, [0.01], "stopped", params=params))
        else:
            sampler.on_trial_complete(make_record(trial_id, [0.9, 0.5, 0.3], params=params))
    late = [sampler.suggest().params["dropout"] for _ in range(40)]
    assert sum(value <= 0.25 for value in late) >= 28, "20 by chance"


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_the_sampler_copes_with_unsuccessful_trials(status, make_search_config, make_record):
    sampler = Sampler(make_search_config())
    for i in range(25):
        spec = sampler.suggest()
        trial_id, params = spec.trial_id, spec.params
        unsuccessful = params["learning_rate"] > 1e-2
        losses = [0.1] if i % 2 else []
        sampler.on_trial_complete(
            make_record(trial_id, losses, status, params=params)
            if unsuccessful
            else make_record(trial_id, [0.5], params=params)
        )
    if status == "diverged":
        lrs = [sampler.suggest().params["learning_rate"] for _ in range(8)]
        assert sum(lr <= 1e-2 for lr in lrs) >= 6, "the sampler avoids where trials diverge"


@pytest.mark.versions
@pytest.mark.parametrize(
    ("name", "known", "trials"),
    [(name, known, 18) for name in ("tpe", "random", "qmc", "cmaes") for known in (1, 6, 14)]
    + [("gp", 4, 6)],  # suggestions of a Gaussian process are slow
)
def test_a_resumed_search_suggests_the_same_trials(
    name, known, trials, make_search_config, make_record, space
):
    config = make_search_config(space, searcher={"name": name, **STARTUP.get(name, {})})
    uninterrupted = run(Sampler(config), make_record, trials)
    resumed = Sampler(config)
    for record in uninterrupted[:known]:
        resumed.restore_trial(record)
        resumed.on_trial_complete(record)
    rest = run(resumed, make_record, trials - known)
    assert [r.params for r in rest] == [r.params for r in uninterrupted[known:]]


def test_a_resumed_search_of_many_trials_continues_alike(
    make_search_config, make_record, space, monkeypatch
):
    config = make_search_config(space, searcher={"name": "tpe", "startup_trials": 5})
    unbounded = run(Sampler(config), make_record, 70)
    monkeypatch.setattr("handsigns.policy.sampler._MAX_OTHERS", 8)
    uninterrupted = run(Sampler(config), make_record, 70)
    assert uninterrupted[:33] == unbounded[:33]
    assert uninterrupted[-1].params != unbounded[-1].params
    resumed = Sampler(config)
    for record in uninterrupted[:60]:
        resumed.restore_trial(record)
        resumed.on_trial_complete(record)
    rest = run(resumed, make_record, 10)
    assert [r.params for r in rest] == [r.params for r in uninterrupted[60:]]


def test_restored_running_trials_can_end(make_search_config, make_record):
    params = {"learning_rate": 1e-3, "dropout": 0.1, "batch_size": 8}
    ended = make_record("0000", [0.5], params=params)
    running = make_record("0001", [], "running", params=params | {"dropout": 0.3})
    sampler = Sampler(make_search_config())
    sampler.restore_trial(ended)
    sampler.restore_trial(running)
    sampler.on_trial_complete(ended)
    assert sampler.suggest().trial_id == "0002"
    sampler.on_trial_complete(make_record("0001", [0.4], params=running.params))
    assert sampler.suggest().trial_id == "0003"
