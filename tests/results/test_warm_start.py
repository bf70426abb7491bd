"""Warm start: its notice matches the trials that the sampler suggests."""

import pytest

from handsigns.errors import ResultsError
from handsigns.policy.sampler import Sampler
from handsigns.results.warm_start import make_warm_start


def params_of(learning_rate):
    return {"learning_rate": learning_rate, "dropout": 0.1, "batch_size": 16}


@pytest.mark.parametrize("baseline", [True, False])
@pytest.mark.parametrize(
    ("trials", "with_baseline", "without_baseline"),
    [
        (1, "none of the best 3 configurations of first, as there is only 1 trial",
         "1 of the best 3 configurations of first, as there is only 1 trial"),
        (2, "1 of the best 3 configurations of first, as there are only 2 trials",
         "2 of the best 3 configurations of first, as there are only 2 trials"),
        (9, "the best 3 configurations of first", "the best 3 configurations of first"),
    ],
)  # fmt: skip
def test_notice_matches_the_suggested_trials(
    make_search_config, make_record, baseline, trials, with_baseline, without_baseline
):
    config = make_search_config(baseline=baseline, budget={"trials": trials})
    params = [params_of(0.01 * n) for n in range(1, 4)]
    records = [make_record(f"{n:04d}", [0.1 * n], params=p) for n, p in enumerate(params)]
    warm_start = make_warm_start(config, "f", config, "f", records, "first")
    prefix = "the recommended recipe is tried first, then " if baseline else "tried first: "
    assert warm_start.notes[0] == prefix + (with_baseline if baseline else without_baseline)
    sampler = Sampler(config, warm_start)
    suggested = [spec.params for spec in iter(sampler.suggest, None)]
    assert len(suggested) == trials
    best = [p["learning_rate"] for p in params]
    count = sum(p["learning_rate"] in best for p in suggested)
    assert count == min(3, trials - baseline)


def test_earlier_text_becomes_the_middle_of_a_range(make_search_config, make_record):
    act = {"type": "uniform", "low": 0.0, "high": 1.0}
    config = make_search_config({"loss": "mine:loss", "custom": {"act": act}})
    records = [make_record("0000", params={"loss": "mine:loss", "custom.act": "relu"})]
    warm_start = make_warm_start(config, "f", config, "f", records, "first")
    assert warm_start.enqueued_params[0]["custom.act"] == 0.5


@pytest.mark.parametrize("status", ["paused", "interrupted", "stopped"])
def test_unfinished_trials_with_epochs_are_used(make_search_config, make_record, status):
    config = make_search_config()
    records = [
        make_record(f"{n:04d}", [0.5] * min(n, 1), status=status, params=params_of(0.001 * (n + 1)))
        for n in range(31)
    ]
    warm_start = make_warm_start(config, "f", config, "f", records, "first")
    assert len(warm_start.prior_trials) == 30
    assert warm_start.notes[1] == "the sampler uses 30 of its 30 trials"


def test_a_search_without_any_result_is_refused(make_search_config, make_record):
    config = make_search_config()
    records = [make_record("0000", [], status="paused"), make_record("0001", status="diverged")]
    with pytest.raises(ResultsError, match="no trial of first has a result yet"):
        make_warm_start(config, "f", config, "f", records, "first")


def test_longest_trained_then_best_are_tried_without_completed_trials(
    make_search_config, make_record
):
    config = make_search_config()
    curves = [[0.1], [0.9, 0.8], [0.9, 0.6], [0.9, 0.7], [0.2]]
    records = [
        make_record(f"{n:04d}", curve, status="paused", params=params_of(0.001 * (n + 1)))
        for n, curve in enumerate(curves)
    ]
    warm_start = make_warm_start(config, "f", config, "f", records, "first")
    assert warm_start.enqueued_params == tuple(map(params_of, (0.003, 0.004, 0.002)))
