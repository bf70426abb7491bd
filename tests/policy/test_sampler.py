import math

import pytest

from handsigns.config.hyperparameters import TrialConfig
from handsigns.policy.sampler import Sampler
from tests.support import records

SEARCHERS = ["tpe", "random", "gp", "qmc", "cmaes"]
MANY = {"trials": 100}
STARTUP = {"tpe": {"startup_trials": 5}, "gp": {"startup_trials": 4}}


def quality(params):
    """A smooth loss whose best place is known: learning_rate 1e-2, dropout 0.25."""
    return (math.log10(params["learning_rate"]) + 2) ** 2 + 4 * (params["dropout"] - 0.25) ** 2


def run(study, sampler, make_record, trials, quality=quality):
    """Let a search choose and hear of `trials` trials, one after another."""
    records = []
    for _ in range(trials):
        chosen = sampler.suggest()
        if chosen is None:
            break
        trial_id, params = chosen.trial_id, chosen.params
        record = make_record(trial_id, [quality(params)], params=params)
        sampler.finish(record)
        records.append(record)
    return records


@pytest.fixture
def make_study(make_study):
    """Makes searches of as many trials as a test asks for."""

    def make(space=records.SPACE, budget=MANY, **sections):
        return make_study(space, budget=budget, **sections)

    return make


@pytest.fixture
def space():
    return {
        "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1},
        "dropout": {"type": "uniform", "low": 0.0, "high": 0.5},
    }


@pytest.mark.versions
@pytest.mark.parametrize("name", SEARCHERS)
def test_every_searcher_keeps_to_the_space_and_never_repeats(name, make_study, make_record, space):
    study = make_study(space, searcher={"name": name, **STARTUP.get(name, {})})
    trials = 7 if name == "gp" else 14
    records = run(study, Sampler(study), make_record, trials)
    assert [r.trial_id for r in records] == [f"{i:04d}" for i in range(trials)]
    assert len({r.config for r in records}) == trials
    for record in records:
        assert 1e-4 <= record.config.learning_rate <= 1e-1
        assert 0 <= record.config.dropout <= 0.5


@pytest.mark.versions
@pytest.mark.parametrize("name", ["tpe", "cmaes"])
def test_a_searcher_that_learns_beats_chance(name, make_study, make_record, space):
    def best(searcher):
        losses = []
        for seed in range(3):
            study = make_study(space, searcher={"name": searcher}, seed=seed, baseline=False)
            records = run(study, Sampler(study), make_record, 40)
            losses += [r.epochs[-1].val_loss for r in records[-15:]]
        return sum(losses) / len(losses)

    assert best(name) < 0.6 * best("random")


def test_the_first_trial_is_the_recommended_recipe(make_study):
    params = Sampler(make_study()).suggest().params
    assert params == {"learning_rate": 3e-3, "dropout": 0.2, "batch_size": 16}


def test_without_baseline_the_first_trial_follows_the_seed(make_study):
    chosen = [Sampler(make_study(baseline=False, seed=seed)).suggest().params for seed in (1, 1, 2)]
    assert chosen[0] == chosen[1] != chosen[2]


def test_a_grid_is_gone_through_once_in_order(make_study, make_record):
    space = {
        "batch_size": {"type": "choice", "values": [8, 16]},
        "channel_width": {"type": "integer", "low": 4, "high": 12, "step": 4},
        "dropout": 0.1,
    }
    study = make_study(space, searcher={"name": "grid"})
    records = run(study, Sampler(study), make_record, 99, lambda params: 0.5)
    assert [(r.config.batch_size, r.config.channel_width) for r in records] == [
        (8, 4), (8, 8), (8, 12), (16, 4), (16, 8), (16, 12)
    ]  # fmt: skip
    assert all(r.params["dropout"] == 0.1 for r in records)


def test_a_grid_leaves_out_what_a_condition_makes_equal(make_study, make_record):
    space = {
        "optimizer": {"type": "choice", "values": ["adamw", "sgd"]},
        "momentum": {"type": "choice", "values": [0.8, 0.85], "when": {"optimizer": "sgd"}},
    }
    study = make_study(space, searcher={"name": "grid"}, budget={})
    assert study.budget.trials == 3
    records = run(study, Sampler(study), make_record, 99, lambda params: 0.5)
    assert [r.params for r in records] == [
        {"optimizer": "adamw"},
        {"optimizer": "sgd", "momentum": 0.8},
        {"optimizer": "sgd", "momentum": 0.85},
    ]


def test_a_small_space_is_exhausted_not_repeated(make_study, make_record):
    space = {"batch_size": {"type": "choice", "values": [8, 16, 32]}}
    for name in ("tpe", "random"):
        study = make_study(space, searcher={"name": name}, budget={"trials": 50})
        records = run(study, Sampler(study), make_record, 50, lambda params: 0.5)
        assert sorted(r.config.batch_size for r in records) == [8, 16, 32]


def test_conditional_parameters_are_drawn_only_where_they_hold(make_study, make_record):
    space = {
        "optimizer": {"type": "choice", "values": ["adamw", "sgd"]},
        "momentum": {"type": "uniform", "low": 0.1, "high": 0.8, "when": {"optimizer": "sgd"}},
        "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1},
    }
    study = make_study(space)
    records = run(study, Sampler(study), make_record, 30, lambda p: p["learning_rate"])
    for record in records:
        assert ("momentum" in record.params) == (record.params["optimizer"] == "sgd")
        if record.params["optimizer"] == "adamw":
            assert record.config.momentum == TrialConfig().momentum


def test_an_early_stop_is_never_a_good_result(make_study, make_record, space):
    """One-epoch losses beside forty-epoch ones must not lead the sampler astray."""
    study = make_study(space, baseline=False)
    sampler = Sampler(study)
    for _ in range(40):
        chosen = sampler.suggest()
        trial_id, params = chosen.trial_id, chosen.params
        if params["dropout"] > 0.25:
            # Looks better, but was stopped in its first epoch.
            sampler.finish(make_record(trial_id, [0.01], "stopped", params=params))
        else:
            sampler.finish(make_record(trial_id, [0.9, 0.5, 0.3], params=params))
    late = [sampler.suggest().params["dropout"] for _ in range(10)]
    assert sum(value <= 0.25 for value in late) >= 8


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_trials_that_went_wrong_do_not_stop_the_sampler(status, make_study, make_record):
    study = make_study()
    sampler = Sampler(study)
    for i in range(25):
        chosen = sampler.suggest()
        trial_id, params = chosen.trial_id, chosen.params
        wrong = params["learning_rate"] > 1e-2
        losses = [0.1] if i % 2 else []
        sampler.finish(
            make_record(trial_id, losses, status, params=params)
            if wrong
            else make_record(trial_id, [0.5], params=params)
        )
    if status == "diverged":
        rates = [sampler.suggest().params["learning_rate"] for _ in range(8)]
        assert sum(rate <= 1e-2 for rate in rates) >= 6, "where trials diverge it goes no more"


@pytest.mark.versions
@pytest.mark.parametrize(
    ("name", "known", "trials"),
    [(name, known, 18) for name in ("tpe", "random", "qmc", "cmaes") for known in (1, 6, 14)]
    + [("gp", 4, 6)],  # each choice of a Gaussian process takes its time
)
def test_a_resumed_search_chooses_as_one_never_broken_off(
    name, known, trials, make_study, make_record, space
):
    study = make_study(space, searcher={"name": name, **STARTUP.get(name, {})})
    whole = run(study, Sampler(study), make_record, trials)
    resumed = Sampler(study)
    for record in whole[:known]:
        resumed.recall(record)
        resumed.finish(record)
    rest = run(study, resumed, make_record, trials - known)
    assert [r.params for r in rest] == [r.params for r in whole[known:]]


def test_unfinished_trials_are_taken_up_and_can_end(make_study, make_record):
    study = make_study()
    params = {"learning_rate": 1e-3, "dropout": 0.1, "batch_size": 8}
    first = make_record("0000", [0.5], params=params)
    running = make_record("0001", [], "running", params=params | {"dropout": 0.3})
    sampler = Sampler(study)
    sampler.recall(first)
    sampler.recall(running)
    sampler.finish(first)
    assert sampler.suggest().trial_id == "0002"
    sampler.finish(make_record("0001", [0.4], params=running.params))
    assert sampler.suggest().trial_id == "0003"
