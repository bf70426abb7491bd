import pytest

from handsigns.policy.stopping import Ending


@pytest.fixture
def clock():
    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    return Clock()


def test_the_time_budget_counts_all_sessions(make_study, clock):
    study = make_study(budget={"time_budget": 60})
    ending = Ending(study, [], elapsed=45, clock=clock)
    assert ending.seconds_left == 15
    clock.now += 14
    assert not ending.due()
    clock.now += 1
    assert ending.due()
    assert ending.reason == "the time budget is used up"
    assert ending.session_seconds == 15


def test_without_a_budget_it_goes_on(make_study, clock):
    ending = Ending(make_study(), [], 0, clock)
    clock.now += 1e9
    assert ending.seconds_left is None
    assert not ending.due()


def test_the_target(make_study, make_record, clock):
    ending = Ending(make_study(budget={"target": 0.98}), [], 0, clock)
    ending.trained(make_record("0000", [0.5], "running", accuracy=0.97))
    assert not ending.due()
    ending.trained(make_record("0001", [0.5], "running", accuracy=0.98))
    assert ending.due()
    assert ending.reason == "trial 0001 reached the target of 98.00%"


def test_patience_counts_trials_without_a_better_one(make_study, make_record, clock):
    study = make_study(budget={"patience": 3})
    known = [make_record("0000", [0.5]), make_record("0001", [0.6])]
    ending = Ending(study, known, 0, clock)
    ending.ended(make_record("0002", [0.7]))
    assert not ending.due()
    ending.ended(make_record("0003", [0.4]))
    for number in (4, 5):
        ending.ended(make_record(f"{number:04d}", [0.1], "diverged"))
    assert not ending.due()
    ending.ended(make_record("0006", [0.9]))
    assert ending.reason == "3 trials in a row brought no better one"


def test_the_user_may_break_off(make_study, clock):
    ending = Ending(make_study(), [], 0, clock)
    ending.break_off()
    assert ending.due()
    assert ending.by_user
