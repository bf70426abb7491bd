"""Ranking of trials, and their choice by ID."""

import dataclasses

import pytest

from handsigns.errors import ResultsError
from handsigns.results.trial import rank


def ranked_ids(records, config):
    return [record.trial_id for record in rank(records, config.objective)]


def test_trials_are_ranked_by_the_last_epoch(make_search_config, make_record):
    records = [
        make_record("0000", [0.1, 0.9]),
        make_record("0001", [0.9, 0.2], "stopped"),
        make_record("0002", [0.9, 0.3], "interrupted"),
        make_record("0003", [0.25], "running"),
    ]
    assert ranked_ids(records, make_search_config()) == ["0001", "0003", "0002", "0000"]


def test_ties_are_broken_by_the_other_metric_then_id(make_search_config, make_record):
    records = [
        make_record("0000", [0.5], accuracy=0.90),
        make_record("0001", [0.4], accuracy=0.95),
        make_record("0002", [0.3], accuracy=0.95),
        make_record("0003", [0.3], accuracy=0.95),
    ]
    by_accuracy = make_search_config(objective={"metric": "val_accuracy"})
    assert ranked_ids(records, by_accuracy) == ["0002", "0003", "0001", "0000"]


@pytest.mark.parametrize("metric", ["val_balanced_accuracy", "val_macro_f1"])
def test_trials_are_ranked_by_the_score_of_the_objective(make_search_config, make_record, metric):
    records = []
    for number, (loss, score) in enumerate([(0.1, 0.5), (0.9, 0.8), (0.5, 0.8)]):
        record = make_record(f"{number:04d}", [loss])
        epoch = dataclasses.replace(record.epochs[0], **{metric: score})
        records.append(dataclasses.replace(record, epochs=(epoch,)))
    config = make_search_config(objective={"metric": metric})
    assert config.objective.direction == "maximize"
    assert ranked_ids(records, config) == ["0002", "0001", "0000"]


def test_diverged_failed_and_empty_trials_rank_last(make_search_config, make_record):
    records = [
        make_record("0000", [0.01], "diverged"),
        make_record("0001", [0.01], "failed"),
        make_record("0002", [], "running"),
        make_record("0003", [9.0], "stopped"),
    ]
    assert ranked_ids(records, make_search_config())[0] == "0003"


def test_trial_ids_may_lack_leading_zeros_but_not_be_empty(make_search):
    search = make_search(trials=2)
    assert search.trial("1").trial_id == "0001"
    with pytest.raises(ResultsError, match="no trial '' in scripted; trials are 0000 to 0001"):
        search.trial("")
