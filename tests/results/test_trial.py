from handsigns.results.trial import rank


def ids(records, study):
    return [record.trial_id for record in rank(records, study.objective)]


def test_best_first_by_the_last_epoch(make_study, make_record):
    records = [
        make_record("0000", [0.1, 0.9]),
        make_record("0001", [0.9, 0.2], "stopped"),
        make_record("0002", [0.9, 0.3], "interrupted"),
        make_record("0003", [0.25], "running"),
    ]
    assert ids(records, make_study()) == ["0001", "0003", "0002", "0000"]


def test_ties_are_broken_by_the_other_metric_then_by_age(make_study, make_record):
    records = [
        make_record("0000", [0.5], accuracy=0.90),
        make_record("0001", [0.4], accuracy=0.95),
        make_record("0002", [0.3], accuracy=0.95),
        make_record("0003", [0.3], accuracy=0.95),
    ]
    accuracy = make_study(objective={"metric": "val_accuracy"})
    assert ids(records, accuracy) == ["0002", "0003", "0001", "0000"]


def test_diverged_and_failed_trials_come_last_whatever_they_had(make_study, make_record):
    records = [
        make_record("0000", [0.01], "diverged"),
        make_record("0001", [0.01], "failed"),
        make_record("0002", [], "running"),
        make_record("0003", [9.0], "stopped"),
    ]
    assert ids(records, make_study())[0] == "0003"
