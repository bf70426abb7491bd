"""Limits on the network: no configuration beyond them is started."""

import math
import statistics

import pytest

from handsigns.config.hyperparameters import TrialConfig
from handsigns.policy import limited_space
from handsigns.policy.limited_space import LimitedSpace, sample_space
from handsigns.policy.sampler import Sampler
from handsigns.results.networks import NetworkProfile
from handsigns.results.warm_start import PriorTrial, WarmStart

SPACE = {
    "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1},
    "channel_width": {"type": "integer", "low": 4, "high": 32},
}
LIMIT = {"parameters": 1200}
"""Widths up to 12: a network of this file has a hundred parameters for each."""
MANY = {"trials": 100}


@pytest.fixture(autouse=True)
def small_sample(monkeypatch):
    """Represent a space by fewer configurations, which is faster."""
    monkeypatch.setattr(limited_space, "SAMPLE_SIZE", 128)


def profile(config):
    return NetworkProfile(100 * config.channel_width, 400 * config.channel_width)


def limit(config):
    return LimitedSpace(config, sample_space(config), profile)


def run(sampler, make_record, trials):
    """Suggest and complete up to `trials` trials, of which the widest are best."""
    records = []
    for _ in range(trials):
        spec = sampler.suggest()
        if spec is None:
            break
        record = make_record(
            spec.trial_id, [1 / spec.config.channel_width + spec.config.learning_rate],
            params=spec.params,
        )  # fmt: skip
        sampler.on_trial_complete(record)
        records.append(record)
    return records


@pytest.mark.parametrize(
    ("name", "known", "trials"),
    [(name, 5, 12) for name in ("tpe", "random", "qmc", "cmaes")] + [("gp", 3, 5)],
)
def test_a_resumed_search_stays_within_the_limits_alike(
    name, known, trials, make_search_config, make_record
):
    config = make_search_config(SPACE, budget=MANY, limits=LIMIT, searcher={"name": name})
    uninterrupted = run(Sampler(config, None, limit(config)), make_record, trials)
    assert len(uninterrupted) == trials
    assert max(record.config.channel_width for record in uninterrupted) <= 12
    resumed = Sampler(config, None, limit(config))
    for record in uninterrupted[:known]:
        resumed.restore_trial(record)
        resumed.on_trial_complete(record)
    rest = run(resumed, make_record, trials - known)
    assert [r.params for r in rest] == [r.params for r in uninterrupted[known:]]


def test_a_suggestion_has_the_profile_of_its_network(make_search_config):
    config = make_search_config(SPACE, budget=MANY, limits=LIMIT)
    spec = Sampler(config, None, limit(config)).suggest()
    assert spec.network == profile(spec.config)


def test_the_share_counts_what_each_limit_excludes(make_search_config):
    space = {"channel_width": {"type": "integer", "low": 1, "high": 20}}
    limits = {"parameters": 1200, "model_bytes": 6000}
    limited = limit(make_search_config(space, limits=limits))
    assert (limited.sample_size, limited.share) == (20, 0.6)
    assert dict(limited.exceeded) == {"parameters": 8, "model_bytes": 5}


def test_a_latency_that_was_not_measured_exceeds_the_limit(make_search_config):
    assert limit(make_search_config(SPACE, limits={"latency_ms": 5})).share == 0


def test_the_recipe_is_moved_as_little_as_possible(make_search_config):
    config = make_search_config(
        SPACE | {"architecture": {"type": "choice", "values": ["compact", "cs230"]}},
        budget=MANY, limits=LIMIT,
    )  # fmt: skip
    params = Sampler(config, None, limit(config)).suggest().params
    assert params == {"learning_rate": 3e-3, "channel_width": 12, "architecture": "compact"}


def test_the_architecture_is_changed_only_if_nothing_else_helps(make_search_config):
    def first(limit):
        space = {
            "architecture": {"type": "choice", "values": ["compact", "cs230"]},
            "channel_width": {"type": "choice", "values": [8, 16]},
        }
        config = make_search_config(space, limits={"parameters": limit})
        sample = sample_space(config)

        def half_as_large(config):
            parameters = profile(config).parameters // (1 + (config.architecture == "cs230"))
            return NetworkProfile(parameters, 4 * parameters)

        return LimitedSpace(config, sample, half_as_large).nearest(config.baseline_params())

    assert first(800) == {"architecture": "compact", "channel_width": 8}
    assert first(400) == {"architecture": "cs230", "channel_width": 8}


def test_grid_search_skips_what_exceeds_the_limits(make_search_config, make_record):
    space = {"channel_width": {"type": "choice", "values": [8, 16, 12]}, "batch_size": 16}
    config = make_search_config(space, searcher={"name": "grid"}, limits=LIMIT)
    records = run(Sampler(config, None, limit(config)), make_record, 9)
    assert [record.config.channel_width for record in records] == [8, 12]


def test_a_large_grid_is_represented_by_a_sample(make_search_config):
    values = {"type": "uniform", "low": 0.0, "high": 0.9, "step": 0.01}
    space = dict.fromkeys(("dropout", "momentum", "label_smoothing", "weight_decay"), values)
    config = make_search_config(
        space, searcher={"name": "grid"}, budget={"trials": 5}, limits=LIMIT
    )
    assert len(sample_space(config)) == 128


def test_a_space_exhausted_within_its_limits_ends_the_search(make_search_config, make_record):
    space = {"channel_width": {"type": "integer", "low": 8, "high": 20, "step": 4}}
    config = make_search_config(space, budget=MANY, limits=LIMIT)
    records = run(Sampler(config, None, limit(config)), make_record, 9)
    assert sorted(record.config.channel_width for record in records) == [8, 12]


def test_a_warm_start_is_moved_within_the_limits(make_search_config, make_record):
    config = make_search_config(SPACE, budget=MANY, limits=LIMIT, baseline=False)
    wide = {"learning_rate": 0.02, "channel_width": 30}
    prior = PriorTrial(wide, (0.01,), completed=True)
    sampler = Sampler(config, WarmStart("first", (prior,), (wide,), ()), limit(config))
    records = run(sampler, make_record, 12)
    assert records[0].params == {"learning_rate": 0.02, "channel_width": 12}
    assert max(record.config.channel_width for record in records) <= 12


def test_tpe_learns_beside_many_excluded_trials(make_search_config, make_record):
    config = make_search_config(SPACE, budget=MANY, limits=LIMIT, searcher={"startup_trials": 5})
    excluded = tuple(
        PriorTrial({"learning_rate": 10 ** (-4 + k / 200), "channel_width": 32}, (0.1,), True)
        for k in range(600)
    )
    sampler = Sampler(config, WarmStart("earlier", excluded, (), ()), limit(config))
    errors = []
    for _ in range(50):
        spec = sampler.suggest()
        errors.append(abs(math.log10(spec.config.learning_rate) + 2.5))
        sampler.on_trial_complete(make_record(spec.trial_id, [errors[-1]], params=spec.params))
    assert statistics.median(errors[25:]) < 0.5, "that of random ones is 0.75"


def test_tpe_is_shown_what_is_excluded(make_search_config, make_record, monkeypatch):
    asked = []

    class CountingSampler(Sampler):
        def _ask(self, attempt):
            trial, params = super()._ask(attempt)
            asked.append(TrialConfig.from_params(params))
            return trial, params

    def num_rejected(shown):
        monkeypatch.setattr("handsigns.policy.sampler._MAX_EXCLUDED", shown)
        config = make_search_config(SPACE, budget=MANY, limits={"parameters": 800})
        asked.clear()
        run(CountingSampler(config, None, limit(config)), make_record, 18)
        return sum(config.channel_width > 8 for config in asked)

    assert num_rejected(64) < 0.75 * num_rejected(0)


def test_every_configuration_within_the_limits_is_tried(
    make_search_config, make_record, monkeypatch
):
    monkeypatch.setattr(limited_space, "SAMPLE_SIZE", 1024)
    space = {
        "channel_width": {"type": "integer", "low": 4, "high": 128},
        "batch_size": {"type": "choice", "values": [8, 16, 32, 64]},
        "dropout": {"type": "choice", "values": [0.1, 0.3]},
    }
    config = make_search_config(
        space,
        seed=0,
        budget=MANY,
        limits={"parameters": 400},
        searcher={"name": "random"},
        baseline=False,
    )
    records = run(Sampler(config, None, limit(config)), make_record, 100)
    assert len(records) == 8, "width 4 only"
