import io
import signal

import numpy as np
import pytest

from handsigns.policy.stopping import StoppingCriteria, describe_outlook
from handsigns.results.journal import Journal
from handsigns.results.statistics import WinnerChanges
from handsigns.results.trial import Conclusion, Placement, Session, Verdict
from handsigns.tuning.interrupts import handle_interrupts
from handsigns.tuning.recovery import restore_stopping_criteria
from tests.support.records import make_epoch_metrics, make_spec


@pytest.fixture
def clock():
    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    return Clock()


def test_the_time_budget_spans_all_sessions(make_search_config, clock):
    config = make_search_config(budget={"time_budget": 60})
    stopping = StoppingCriteria(config, [], elapsed=45, clock=clock)
    assert stopping.remaining_seconds == 15
    clock.now += 14
    assert not stopping.should_stop()
    clock.now += 1
    assert stopping.should_stop()
    assert stopping.reason == "the time budget is exhausted"
    assert stopping.session_seconds == 15


def test_without_a_time_budget_time_is_unlimited(make_search_config, clock):
    stopping = StoppingCriteria(make_search_config(), clock=clock)
    clock.now += 1e9
    assert stopping.remaining_seconds is None
    assert not stopping.should_stop()


def test_reaching_the_target_stops_the_search(make_search_config, make_record, clock):
    stopping = StoppingCriteria(make_search_config(budget={"target": 0.98}), clock=clock)
    stopping.on_epoch(make_record("0000", [0.5], "running", accuracy=0.97))
    assert not stopping.should_stop()
    stopping.on_epoch(make_record("0001", [0.5], "running", accuracy=0.98))
    assert stopping.should_stop()
    assert stopping.reason == "trial 0001 reached the target of 98.00%"


def test_an_accuracy_rounded_to_float32_reaches_its_target(make_search_config, make_record):
    rounded = float(np.float32(19 / 20))
    assert rounded < 0.95
    stopping = StoppingCriteria(make_search_config(budget={"target": 0.95}))
    stopping.on_epoch(make_record("0000", [0.5], "running", accuracy=rounded))
    assert stopping.should_stop()


def test_the_target_is_one_of_the_objective(make_search_config, make_record, clock):
    config = make_search_config(
        budget={"target": 0.45}, objective={"metric": "val_balanced_accuracy"}
    )
    stopping = StoppingCriteria(config, clock=clock)
    stopping.on_epoch(make_record("0000", [0.5], "running", accuracy=0.88))
    assert not stopping.should_stop(), "the balanced accuracy is half of it"
    stopping.on_epoch(make_record("0001", [0.5], "running", accuracy=0.92))
    assert stopping.should_stop()


def test_patience_counts_trials_without_improvement(make_search_config, make_record, clock):
    config = make_search_config(budget={"patience": 3})
    ended = [make_record("0000", [0.5]), make_record("0001", [0.6])]
    stopping = StoppingCriteria(config, ended, 0, clock=clock)
    stopping.on_trial_end(make_record("0002", [0.7]))
    assert not stopping.should_stop()
    stopping.on_trial_end(make_record("0003", [0.4]))
    for number in (4, 5):
        stopping.on_trial_end(make_record(f"{number:04d}", [0.1], "diverged"))
    assert not stopping.should_stop()
    stopping.on_trial_end(make_record("0006", [0.9]))
    assert stopping.reason == "no improvement in 3 trials"


def test_the_user_can_interrupt_the_search(make_search_config, clock):
    stopping = StoppingCriteria(make_search_config(), clock=clock)
    stopping.interrupt()
    assert stopping.should_stop()
    assert stopping.interrupted


def test_an_interrupt_leaves_the_reason_of_a_search_that_ends(make_search_config, clock):
    config = make_search_config(budget={"time_budget": 60})
    stopping = StoppingCriteria(config, clock=clock)
    clock.now += 60
    assert stopping.should_stop()
    with handle_interrupts(stopping, io.StringIO(), "", exit_on_second=False):
        signal.raise_signal(signal.SIGINT)
        assert (stopping.reason, stopping.interrupted) == ("the time budget is exhausted", False)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_equal_failures_of_all_trials_end_the_search(make_search_config, make_record, clock):
    stopping = StoppingCriteria(make_search_config(), clock=clock)
    failures = [make_record(f"{k:04d}", [], "failed", error="ValueError: 7") for k in range(10)]
    for record in failures[:9]:
        stopping.on_trial_end(record)
    assert not stopping.should_stop()
    stopping.on_trial_end(failures[9])
    assert stopping.reason == "10 trials in a row failed with the same error"
    extended = StoppingCriteria(
        make_search_config(), failures, 1.0, Conclusion(1.0, 10, 10), clock=clock
    )
    assert not extended.should_stop(), "the error may have been mended since"
    killed = StoppingCriteria(make_search_config(), failures[:9], 1.0, clock=clock)
    killed.on_trial_end(failures[9])
    assert killed.should_stop(), "failures count over sessions"


@pytest.mark.parametrize("other", ["stopped", "diverged", "completed"])
def test_after_another_outcome_more_failures_end_the_search(
    make_search_config, make_record, clock, other
):
    stopping = StoppingCriteria(make_search_config(), clock=clock)
    for number in range(60):
        record = make_record(f"{number:04d}", [], "failed", error="ValueError: 7")
        if number == 0:
            record = make_record("0000", [0.5], other)
        if number == 29:
            record = make_record("0029", [], "failed", error="KeyError: 1")
        stopping.on_trial_end(record)
        assert stopping.should_stop() == (number == 59), number


def test_a_paused_trial_counts_once_for_the_patience(make_search_config, make_record, clock):
    stopping = StoppingCriteria(make_search_config(budget={"patience": 2}), clock=clock)
    stopping.on_trial_pause(make_record("0000", [0.3], "paused"))
    stopping.on_trial_pause(make_record("0001", [0.9], "paused"))
    stopping.on_trial_pause(make_record("0001", [0.9, 0.8], "paused"))
    assert not stopping.should_stop()
    stopping.on_trial_pause(make_record("0002", [0.9], "paused"))
    assert stopping.reason == "no improvement in 2 trials"


@pytest.mark.parametrize("status", ["completed", "diverged"])
def test_patience_compares_with_the_latest_result_of_the_best(
    make_search_config, make_record, clock, status
):
    config = make_search_config(budget={"patience": 2})
    outcomes = [
        make_record("0000", [0.20], "paused"),
        make_record("0000", [0.20, 0.25], status),
        make_record("0001", [0.22]),
    ]
    stopping = StoppingCriteria(config, clock=clock)
    stopping.on_trial_pause(outcomes[0])
    for record in outcomes[1:]:
        stopping.on_trial_end(record)
    for case in (stopping, StoppingCriteria(config, outcomes, clock=clock)):
        assert not case.should_stop(), "trial 0001 is the best"
        case.on_trial_end(make_record("0002", [0.23]))
        assert not case.should_stop(), "the first without improvement"


@pytest.fixture
def paused_journal(tmp_path):
    """Journal of three trials that paused, each poorer than the one before."""
    journal = Journal(tmp_path / "journal.jsonl", writable=True)
    journal.start_session(Session("f00d", {}))
    for number in range(3):
        trial_id, value = f"{number:04d}", 0.3 + number
        journal.start_trial(make_spec(trial_id))
        verdict = Verdict(1, value, None, number, "pause")
        here = Placement("here/1", "cpu", 1)
        journal.report_epoch(trial_id, make_epoch_metrics(1, value), here, verdict)
    yield journal
    journal.close()


def test_paused_trials_of_earlier_sessions_count_for_the_patience(
    make_search_config, paused_journal
):
    config = make_search_config(budget={"patience": 2})
    assert restore_stopping_criteria(config, paused_journal).reason == "no improvement in 2 trials"
    paused_journal.end_session("no improvement in 2 trials", interrupted=False)
    assert restore_stopping_criteria(config, paused_journal).reason is None, "counted anew"


def test_a_target_reached_before_a_kill_ends_the_search(make_search_config, paused_journal):
    config = make_search_config(budget={"target": 0.5})
    reached = "trial 0000 reached the target of 50.00%"
    assert restore_stopping_criteria(config, paused_journal).reason == reached
    higher = make_search_config(budget={"target": 0.6})
    assert restore_stopping_criteria(higher, paused_journal).reason is None
    paused_journal.end_session(reached, interrupted=False)
    assert restore_stopping_criteria(config, paused_journal).reason is None, "extended"
    paused_journal.clock = lambda: 60.0
    paused_journal.resume_trial("0001")
    paused_journal.report_epoch("0001", make_epoch_metrics(2, 0.3), Placement("here/1", "cpu", 1))
    again = restore_stopping_criteria(config, paused_journal)
    assert again.reason == "trial 0001 reached the target of 50.00%"


def test_a_paused_trial_is_another_outcome_than_failures(make_search_config, paused_journal):
    for number in range(3, 13):
        trial_id = f"{number:04d}"
        paused_journal.start_trial(make_spec(trial_id))
        paused_journal.end_trial(trial_id, "failed", "ValueError: 7")
    assert restore_stopping_criteria(make_search_config(), paused_journal).reason is None


def test_an_extended_search_runs_before_auto_patience_ends_it(make_search_config, clock):
    """It was concluded after 100 s, and another quarter is 25 s."""
    config = make_search_config(budget={"patience": "auto"})
    changes = WinnerChanges(config.objective)
    changes.seconds.append(1.0)
    changes.num_completed = 4
    few = StoppingCriteria(config, [], 100.0, None, changes, clock=clock)
    assert few.reason is None, "a fifth trial may be better"
    changes.num_completed = 5
    ended = StoppingCriteria(config, [], 100.0, None, changes, clock=clock)
    assert "a better winner is unlikely" in ended.reason
    conclusion = Conclusion(100.0, 0, 0)
    extended = StoppingCriteria(config, [], 100.0, conclusion, changes, clock=clock)
    assert extended.reason is None


def test_no_outlook_where_every_configuration_was_tried(make_search):
    grid = {"learning_rate": {"type": "choice", "values": [1e-3, 2e-3, 3e-3]}}
    assert "chance of a better winner" in describe_outlook(make_search("open"))
    assert describe_outlook(make_search("grid", trials=3, space=grid)) == ""
