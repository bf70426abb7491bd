"""ASHA in its promoting form: pauses, promotions, and the last minutes of a time budget."""

import random

import pytest

from handsigns.policy.promotion import PromotionASHA, rung_epochs


@pytest.fixture
def make_rule(make_search_config):
    def make(max_epochs=9, factor=3, grace_period=1, baseline=False, **budget):
        return PromotionASHA(
            make_search_config(
                budget={"max_epochs": max_epochs, **budget},
                scheduler={
                    "name": "asha_promotion",
                    "grace_period": grace_period,
                    "reduction_factor": factor,
                },
                baseline=baseline,
            )
        )

    return make


@pytest.fixture
def report(make_epoch_metrics):
    def report(rule, trial_id, loss, epoch=1):
        return rule.decide(trial_id, make_epoch_metrics(epoch, loss))[0]

    return report


def next_trial(rule, *, can_start=True, remaining_seconds=None):
    return rule.next_promotion(can_start=can_start, remaining_seconds=remaining_seconds)


@pytest.mark.parametrize(
    ("grace_period", "factor", "max_epochs", "expected"),
    [
        (1, 3, 27, [1, 3, 9]),
        (3, 3, 27, [3, 9]),
        (1, 1.2, 5, [1, 2, 3, 4]),
        (36, 3, 36, []),
        (6, 2.5, 36, [6, 15]),
    ],
)
def test_rungs_are_distinct_epochs_before_the_last(grace_period, factor, max_epochs, expected):
    assert rung_epochs(grace_period, factor, max_epochs) == expected


def test_the_best_third_of_a_rung_continues(make_rule, report):
    rule = make_rule()
    assert report(rule, "a", 0.5) == "pause", "one trial is not yet a third of any"
    assert report(rule, "b", 0.9) == "pause"
    assert next_trial(rule) is None
    assert report(rule, "c", 0.4) == "continue", "the best of three"
    assert [report(rule, name, 0.9) for name in "de"] == ["pause"] * 2
    assert report(rule, "f", 0.8) == "pause"
    assert next_trial(rule) == "a", "now second of six"
    assert next_trial(rule) is None, "nobody is promoted twice"


@pytest.mark.parametrize(("baseline", "expected"), [(True, "continue"), (False, "pause")])
def test_the_recipe_is_trained_to_its_end(make_rule, report, baseline, expected):
    rule = make_rule(baseline=baseline)
    assert [report(rule, name, 0.1) for name in "ab"] == ["pause", "pause"]
    assert [report(rule, "0000", 0.9, epoch) for epoch in (1, 3)] == [expected] * 2
    assert next_trial(rule) == "a", "it counts as one of three"


def test_a_higher_rung_has_precedence(make_rule, report):
    rule = make_rule()
    for number, loss in enumerate([0.1, 0.2, 0.3, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2]):
        report(rule, str(number), loss)
    assert [next_trial(rule) for _ in range(4)] == ["0", "1", "2", None]
    assert report(rule, "2", 0.3, epoch=3) == "pause"
    assert report(rule, "1", 0.2, epoch=3) == "pause"
    report(rule, "9", 1.3)
    report(rule, "10", 1.4)
    report(rule, "11", 1.5)
    assert report(rule, "0", 0.25, epoch=3) == "pause", "worse than trial 1"
    assert next_trial(rule) == "1", "rung 3 before rung 1"
    assert next_trial(rule) == "3"


def test_the_verdict_states_what_was_compared(make_rule, make_epoch_metrics):
    rule = make_rule()
    verdicts = [
        rule.decide(name, make_epoch_metrics(1, loss))[1]
        for name, loss in [("a", 0.5), ("b", 0.9), ("c", 0.4), ("d", 0.6)]
    ]
    assert [v.num_compared for v in verdicts] == [0, 1, 2, 3]
    assert [v.cutoff for v in verdicts] == [None, None, 0.4, 0.4]
    assert [v.action for v in verdicts] == ["pause", "pause", "continue", "pause"]
    assert rule.decide("c", make_epoch_metrics(2, 0.1)) == ("continue", None), "not a rung"


def test_higher_accuracy_is_better(make_search_config, make_epoch_metrics):
    rule = PromotionASHA(
        make_search_config(
            objective={"metric": "val_accuracy"},
            budget={"max_epochs": 9},
            scheduler={"name": "asha_promotion", "grace_period": 1, "reduction_factor": 2},
        )
    )
    assert rule.decide("a", make_epoch_metrics(1, 1.0, 0.6))[0] == "pause"
    assert rule.decide("b", make_epoch_metrics(1, 1.0, 0.7))[0] == "continue"


def test_at_the_end_the_best_that_can_finish_is_continued(make_rule, report):
    rule = make_rule(time_budget=100)  # an epoch takes a second
    report(rule, "a", 0.5)
    report(rule, "b", 0.9)
    assert next_trial(rule, remaining_seconds=9.5) is None, "a new trial can still finish"
    assert next_trial(rule, remaining_seconds=7.9) is None, "eight epochs no longer fit"
    assert next_trial(rule, remaining_seconds=8.5) == "a"
    assert next_trial(rule, remaining_seconds=8.5) == "b"
    assert next_trial(rule, remaining_seconds=8.5) is None


def test_without_more_trials_the_best_of_each_rung_continues(make_rule, report):
    rule = make_rule()
    report(rule, "a", 0.5)
    report(rule, "b", 0.9)
    assert next_trial(rule) is None
    assert next_trial(rule, can_start=False) == "a"
    assert next_trial(rule, can_start=False) is None, "the second of two stays paused"
    assert report(rule, "a", 0.4, epoch=3) == "pause"
    assert next_trial(rule, can_start=False) == "a", "the only one of its rung"


def scripted_log(rule, make_epoch_metrics):
    """Return the events of three workers that train what the rule says, with random losses."""
    rng, log = random.Random(3), []
    epochs, running = {}, []
    for step in range(400):
        if len(running) < 3:
            promoted = next_trial(rule)
            name = promoted or f"new {step}"
            log.append(("start", name))
            epochs.setdefault(name, 0)
            running.append(name)
        name = rng.choice(running)
        epochs[name] += 1
        metrics = make_epoch_metrics(epochs[name], rng.random() / epochs[name])
        action, _ = rule.decide(name, metrics)
        log.append(("epoch", name, metrics, action))
        if action != "continue" or epochs[name] == 9:
            running.remove(name)
    return log


def test_replayed_reports_restore_the_rule(make_rule, make_epoch_metrics):
    """Killed after any event, a rule makes the decisions of one that was not."""
    log = scripted_log(make_rule(), make_epoch_metrics)
    for killed_at in range(0, len(log), 23):
        restored, at_work = make_rule(), set()
        for event in log[:killed_at]:
            if event[0] == "start":
                at_work.add(event[1])
            else:
                restored.decide(event[1], event[2])
                if event[3] != "continue":
                    at_work.discard(event[1])
        for name in at_work:
            restored.discard_paused(name)
        for event in log[killed_at:]:
            if event[0] == "start":
                assert (next_trial(restored) or event[1]) == event[1]
            else:
                assert restored.decide(event[1], event[2])[0] == event[3]
    assert sum(event[0] == "epoch" and event[3] == "pause" for event in log) > 50


def test_the_next_best_takes_the_place_of_a_failed_trial(make_rule, report):
    rule = make_rule()
    assert report(rule, "a", 0.5) == "pause"
    assert report(rule, "b", 0.4) == "pause"
    assert next_trial(rule, can_start=False) == "b"
    assert next_trial(rule, can_start=False) is None, "only the best continues in any case"
    rule.on_failure("b")
    assert next_trial(rule) is None
    assert next_trial(rule, can_start=False) == "a"
