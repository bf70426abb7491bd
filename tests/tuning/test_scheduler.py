from typing import ClassVar

import numpy as np
import pytest

from handsigns.cluster import ray_compat
from handsigns.results.events import EpochReported
from handsigns.results.trial import Placement, Verdict
from handsigns.tuning.messages import TrialReport
from handsigns.tuning.scheduler import DeterministicASHA, ReplayableScheduler, make_rule

pytestmark = pytest.mark.versions  # they stand on private parts of Ray's schedulers

ASHA = {"name": "asha", "grace_period": 1, "reduction_factor": 3}
BUDGET = {"max_epochs": 9, "trials": 30}


class Trial:
    """What Ray passes: a trial whose own id differs from session to session."""

    def __init__(self, trial_id):
        self.trial_id = f"ray-{id(self)}"
        self.config = {"trial_id": trial_id}


HERE = Placement("laptop/1", "cpu", 1)


def reported(metrics):
    return TrialReport("epoch", metrics=metrics, placement=HERE).to_dict()


def play(scheduler, script, epoch_of):
    """Report (trial, epoch, loss) in order; the decisions."""
    return [
        scheduler.on_trial_result(None, Trial(trial), reported(epoch_of(epoch, loss)))
        for trial, epoch, loss in script
    ]


SCRIPT = [
    ("0000", 1, 0.9), ("0001", 1, 0.5), ("0002", 1, 0.4), ("0000", 2, 0.8), ("0003", 1, 0.7),
    ("0002", 2, 0.3), ("0002", 3, 0.2), ("0001", 2, 0.4), ("0001", 3, 0.6), ("0004", 1, 0.1),
    ("0004", 2, 0.1), ("0004", 3, 0.3), ("0002", 4, 0.1), ("0005", 1, 0.45), ("0002", 9, 0.1),
]  # fmt: skip


@pytest.fixture
def scheduler(make_study):
    def make(**rule):
        return ReplayableScheduler(make_rule(make_study(scheduler={**ASHA, **rule}, budget=BUDGET)))

    return make


def test_asha_follows_from_the_rungs(scheduler, epoch_of):
    decisions = play(scheduler(), SCRIPT, epoch_of)
    # Epoch 1: the best third of 0.9, 0.5, 0.4 ends at 0.43, so 0.7 stops, and later 0.45 does; 0.1
    # goes on. Epoch 3: 0.6 stops against 0.2, while 0.3 is within the best third of 0.2 and 0.6,
    # which ends at 0.33. Epoch 9 is the last.
    stopped = [SCRIPT[i][:2] for i, decision in enumerate(decisions) if decision == "STOP"]
    assert stopped == [("0003", 1), ("0001", 3), ("0005", 1), ("0002", 9)]


def rungs(scheduler):
    rule = scheduler._rule
    return [(r.milestone, dict(r.values)) for r in ray_compat.rungs(rule._asha, "0000")]


@pytest.mark.parametrize("kill_after", range(len(SCRIPT)))
def test_resumed_rungs_hold_exactly_what_was_recorded(scheduler, epoch_of, kill_after):
    whole = scheduler()
    expected = play(whole, SCRIPT, epoch_of)

    resumed = scheduler()
    told = scheduler()
    reports = []
    for trial, epoch, loss in SCRIPT[:kill_after]:
        play(told, [(trial, epoch, loss)], epoch_of)
        verdict = told.verdict(trial, epoch)
        reports.append(EpochReported(0.0, 0.0, trial, epoch_of(epoch, loss), HERE, verdict))
    stopped = resumed.replay(reports)
    early = {SCRIPT[i][0] for i in range(kill_after) if expected[i] == "STOP" and SCRIPT[i][1] < 9}
    assert stopped == early, "a stop that was decided, but not carried out, is carried out now"
    assert play(resumed, SCRIPT[kill_after:], epoch_of) == expected[kill_after:]
    assert rungs(resumed) == rungs(whole)
    assert all(resumed.verdict(r.trial_id, r.metrics.epoch) is None for r in reports)


def test_each_verdict_says_on_what_it_stands(scheduler, epoch_of):
    rule = scheduler()
    verdicts = []
    for step in SCRIPT:
        play(rule, [step], epoch_of)
        verdicts.append(rule.verdict(*step[:2]))
    first, second, _, between, third = verdicts[:5]
    assert first == Verdict(rung=1, value=0.9, cutoff=None, earlier=0, stop=False)
    assert second == Verdict(rung=1, value=0.5, cutoff=0.9, earlier=1, stop=False)
    assert between is None, "epoch 2 reaches no rung"
    assert third.cutoff == pytest.approx(np.percentile([0.9, 0.5, 0.4], 100 / 3))
    assert (third.value, third.earlier, third.stop) == (0.7, 3, True)
    for (_, epoch, loss), verdict in zip(SCRIPT, verdicts, strict=True):
        assert (verdict is not None) == (epoch in (1, 3)), "at 9 the trial is complete"
        if verdict and verdict.cutoff is not None:
            assert verdict.stop == (loss > verdict.cutoff)


def test_the_verdicts_of_the_median_rule(make_study, epoch_of):
    study = make_study(scheduler={"name": "median", "grace_period": 2}, budget=BUDGET)
    rule = ReplayableScheduler(make_rule(study))
    play(rule, [(str(i), epoch, 0.1 * i) for i in (1, 2, 3) for epoch in (1, 2, 3)], epoch_of)
    play(rule, [("8", 1, 5.0)], epoch_of)
    assert rule.verdict("8", 1) is None
    play(rule, [("8", 2, 4.0)], epoch_of)
    assert rule.verdict("8", 2) == Verdict(2, 4.0, pytest.approx(0.2), 3, stop=True)


def test_epochs_trained_again_are_not_recorded_again(scheduler, epoch_of):
    fair = scheduler()
    play(fair, SCRIPT[:3], epoch_of)
    before = rungs(fair)
    assert play(fair, [("0000", 1, 0.9), ("0001", 1, 0.5)], epoch_of) == ["CONTINUE", "CONTINUE"]
    assert rungs(fair) == before


def test_a_diverged_trial_stops_and_leaves_no_value(scheduler, epoch_of):
    rule = scheduler()
    play(rule, SCRIPT[:3], epoch_of)
    before = rungs(rule)
    last = TrialReport("diverged", "loss is NaN").to_dict()
    assert rule.on_trial_result(None, Trial("0009"), last) == "STOP"
    rule.on_trial_complete(None, Trial("0009"), last)
    note = TrialReport("note", "a checkpoint was lost").to_dict()
    assert rule.on_trial_result(None, Trial("0008"), note) == "CONTINUE"
    assert rungs(rule) == before


def test_accuracy_is_maximized(make_study, epoch_of):
    study = make_study(scheduler=ASHA, budget=BUDGET, objective={"metric": "val_accuracy"})
    rule = ReplayableScheduler(make_rule(study))
    decisions = [
        rule.on_trial_result(None, Trial(str(i)), reported(epoch_of(1, 9.0, accuracy)))
        for i, accuracy in enumerate((0.9, 0.8, 0.95, 0.2))
    ]
    assert decisions == ["CONTINUE", "STOP", "CONTINUE", "STOP"]


def test_none_stops_nothing(make_study, epoch_of):
    study = make_study(scheduler={"name": "none"}, budget=BUDGET)
    rule = ReplayableScheduler(make_rule(study))
    assert set(play(rule, SCRIPT, epoch_of)) == {"CONTINUE"}


def test_median_stops_what_is_below_the_median_of_others(make_study, epoch_of):
    study = make_study(scheduler={"name": "median", "grace_period": 2}, budget=BUDGET)
    rule = ReplayableScheduler(make_rule(study))
    good = [(str(i), epoch, 0.1 * i) for i in range(1, 6) for epoch in (1, 2, 3)]
    assert play(rule, good[:9], epoch_of) == ["CONTINUE"] * 9, "three others are needed"
    late = [("8", 1, 5.0), ("8", 2, 5.0), ("9", 1, 0.15), ("9", 2, 0.15)]
    assert play(rule, late, epoch_of) == ["CONTINUE", "STOP", "CONTINUE", "CONTINUE"]


def test_hyperband_places_a_trial_by_its_name_in_every_session(scheduler, epoch_of):
    def brackets():
        rule = scheduler(name="hyperband")
        play(rule, [(f"{i:04d}", 1, 0.5) for i in range(200)], epoch_of)
        assert isinstance(rule._rule, DeterministicASHA)
        counts = [len(ray_compat.rungs(rule._rule._asha, f"{i:04d}")) for i in range(200)]
        return [max(counts) - count for count in counts]

    first = brackets()
    assert first == brackets()
    counts = [first.count(bracket) for bracket in range(3)]
    assert counts[0] > counts[1] > counts[2] > 0


def test_the_first_trial_that_waits_is_run(make_study):
    """Among the live ones only: a search of thousands looks at a handful."""

    class Waiting:
        def __init__(self, trial_id, status):
            self.config = {"trial_id": trial_id}
            self.status = status

    class Controller:
        live: ClassVar = {
            Waiting(*trial)
            for trial in (("0009", "PENDING"), ("0007", "RUNNING"), ("0008", "PENDING"))
        }

        def get_live_trials(self):
            return self.live

        def get_trials(self):
            raise AssertionError("all trials of the search were looked at")

    scheduler = ReplayableScheduler(make_rule(make_study(scheduler={"name": "asha"})))
    assert scheduler.choose_trial_to_run(Controller()).config == {"trial_id": "0008"}
    Controller.live.clear()
    assert scheduler.choose_trial_to_run(Controller()) is None
