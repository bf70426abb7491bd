from typing import ClassVar

import numpy as np
import pytest

from handsigns.cluster import ray_compat
from handsigns.results.events import EpochReported
from handsigns.results.trial import Placement, Verdict
from handsigns.tuning.protocol import TrialReport
from handsigns.tuning.scheduler import DeterministicASHA, ReplayableScheduler, make_stopping_rule

pytestmark = pytest.mark.versions  # depends on private API of Ray's schedulers

ASHA = {"name": "asha", "grace_period": 1, "reduction_factor": 3}
BUDGET = {"max_epochs": 9, "trials": 30}


class Trial:
    """Stand-in for a Ray trial, whose own id differs between sessions."""

    def __init__(self, trial_id):
        self.trial_id = f"ray-{id(self)}"
        self.config = {"trial_id": trial_id}


PLACEMENT = Placement("laptop/1", "cpu", 1)


def as_result(metrics):
    return TrialReport("epoch", metrics=metrics, placement=PLACEMENT).to_dict()


def play(scheduler, script, make_epoch_metrics):
    """Report (trial, epoch, loss) in order; return the decisions."""
    return [
        scheduler.on_trial_result(None, Trial(trial), as_result(make_epoch_metrics(epoch, loss)))
        for trial, epoch, loss in script
    ]


SCRIPT = [
    ("0000", 1, 0.9), ("0001", 1, 0.5), ("0002", 1, 0.4), ("0000", 2, 0.8), ("0003", 1, 0.7),
    ("0002", 2, 0.3), ("0002", 3, 0.2), ("0001", 2, 0.4), ("0001", 3, 0.6), ("0004", 1, 0.1),
    ("0004", 2, 0.1), ("0004", 3, 0.3), ("0002", 4, 0.1), ("0005", 1, 0.45), ("0002", 9, 0.1),
]  # fmt: skip


@pytest.fixture
def make_scheduler(make_search_config):
    def make(**settings):
        return ReplayableScheduler(
            make_stopping_rule(make_search_config(scheduler={**ASHA, **settings}, budget=BUDGET))
        )

    return make


def test_asha_stops_trials_by_the_rung_cutoffs(make_scheduler, make_epoch_metrics):
    decisions = play(make_scheduler(), SCRIPT, make_epoch_metrics)
    # Epoch 1: the cutoff of the best third of 0.9, 0.5, 0.4 is 0.43, so 0.7 stops, and later 0.45;
    # 0.1 continues. Epoch 3: 0.6 stops against 0.2, while 0.3 is below the cutoff of the best third
    # of 0.2 and 0.6, which is 0.33. Epoch 9 is the last.
    stopped = [SCRIPT[i][:2] for i, decision in enumerate(decisions) if decision == "STOP"]
    assert stopped == [("0003", 1), ("0001", 3), ("0005", 1), ("0002", 9)]


def rungs(scheduler):
    rule = scheduler._rule
    return [(r.milestone, dict(r.values)) for r in ray_compat.rungs(rule._asha, "0000")]


@pytest.mark.parametrize("kill_after", range(len(SCRIPT)))
def test_resumed_rungs_equal_the_recorded_ones(make_scheduler, make_epoch_metrics, kill_after):
    uninterrupted = make_scheduler()
    expected = play(uninterrupted, SCRIPT, make_epoch_metrics)

    resumed = make_scheduler()
    killed = make_scheduler()
    reports = []
    for trial, epoch, loss in SCRIPT[:kill_after]:
        play(killed, [(trial, epoch, loss)], make_epoch_metrics)
        verdict = killed.pop_verdict(trial, epoch)
        reports.append(
            EpochReported(0.0, 0.0, trial, make_epoch_metrics(epoch, loss), PLACEMENT, verdict)
        )
    resumed.replay(reports)
    assert play(resumed, SCRIPT[kill_after:], make_epoch_metrics) == expected[kill_after:]
    assert rungs(resumed) == rungs(uninterrupted)
    assert all(resumed.pop_verdict(r.trial_id, r.metrics.epoch) is None for r in reports)


def test_asha_verdicts_state_value_and_cutoff(make_scheduler, make_epoch_metrics):
    scheduler = make_scheduler()
    verdicts = []
    for step in SCRIPT:
        play(scheduler, [step], make_epoch_metrics)
        verdicts.append(scheduler.pop_verdict(*step[:2]))
    first, second, _, between, third = verdicts[:5]
    assert first == Verdict(rung=1, value=0.9, cutoff=None, num_compared=0, action="continue")
    assert second == Verdict(rung=1, value=0.5, cutoff=0.9, num_compared=1, action="continue")
    assert between is None, "epoch 2 reaches no rung"
    assert third.cutoff == pytest.approx(np.percentile([0.9, 0.5, 0.4], 100 / 3))
    assert (third.value, third.num_compared, third.action) == (0.7, 3, "stop")
    for (_, epoch, loss), verdict in zip(SCRIPT, verdicts, strict=True):
        assert (verdict is not None) == (epoch in (1, 3)), "after epoch 9 the trial is complete"
        if verdict and verdict.cutoff is not None:
            assert (verdict.action == "stop") == (loss > verdict.cutoff)


def test_median_rule_verdicts_state_value_and_median(make_search_config, make_epoch_metrics):
    config = make_search_config(scheduler={"name": "median", "grace_period": 2}, budget=BUDGET)
    scheduler = ReplayableScheduler(make_stopping_rule(config))
    play(
        scheduler,
        [(str(i), epoch, 0.1 * i) for i in (1, 2, 3) for epoch in (1, 2, 3)],
        make_epoch_metrics,
    )
    play(scheduler, [("8", 1, 5.0)], make_epoch_metrics)
    assert scheduler.pop_verdict("8", 1) is None
    play(scheduler, [("8", 2, 4.0)], make_epoch_metrics)
    assert scheduler.pop_verdict("8", 2) == Verdict(2, 4.0, pytest.approx(0.2), 3, "stop")


def test_retrained_epochs_do_not_change_the_rungs(make_scheduler, make_epoch_metrics):
    scheduler = make_scheduler()
    play(scheduler, SCRIPT[:3], make_epoch_metrics)
    before = rungs(scheduler)
    assert play(scheduler, [("0000", 1, 0.9), ("0001", 1, 0.5)], make_epoch_metrics) == [
        "CONTINUE",
        "CONTINUE",
    ]
    assert rungs(scheduler) == before


def test_a_diverged_trial_stops_without_a_rung_value(make_scheduler, make_epoch_metrics):
    scheduler = make_scheduler()
    play(scheduler, SCRIPT[:3], make_epoch_metrics)
    before = rungs(scheduler)
    last = TrialReport("diverged", "loss is NaN").to_dict()
    assert scheduler.on_trial_result(None, Trial("0009"), last) == "STOP"
    scheduler.on_trial_complete(None, Trial("0009"), last)
    note = TrialReport("note", "a checkpoint was lost").to_dict()
    assert scheduler.on_trial_result(None, Trial("0008"), note) == "CONTINUE"
    assert rungs(scheduler) == before


def test_accuracy_is_maximised(make_search_config, make_epoch_metrics):
    config = make_search_config(scheduler=ASHA, budget=BUDGET, objective={"metric": "val_accuracy"})
    scheduler = ReplayableScheduler(make_stopping_rule(config))
    decisions = [
        scheduler.on_trial_result(
            None, Trial(str(i)), as_result(make_epoch_metrics(1, 9.0, accuracy))
        )
        for i, accuracy in enumerate((0.9, 0.8, 0.95, 0.2))
    ]
    assert decisions == ["CONTINUE", "STOP", "CONTINUE", "STOP"]


def test_scheduler_none_stops_no_trial(make_search_config, make_epoch_metrics):
    config = make_search_config(scheduler={"name": "none"}, budget=BUDGET)
    scheduler = ReplayableScheduler(make_stopping_rule(config))
    assert set(play(scheduler, SCRIPT, make_epoch_metrics)) == {"CONTINUE"}


def test_median_rule_stops_trials_worse_than_the_median(make_search_config, make_epoch_metrics):
    config = make_search_config(scheduler={"name": "median", "grace_period": 2}, budget=BUDGET)
    scheduler = ReplayableScheduler(make_stopping_rule(config))
    good = [(str(i), epoch, 0.1 * i) for i in range(1, 4) for epoch in (1, 2, 3)]
    assert play(scheduler, good, make_epoch_metrics) == ["CONTINUE"] * 9, "needs three others"
    late = [("8", 1, 5.0), ("8", 2, 5.0), ("9", 1, 0.15), ("9", 2, 0.15)]
    assert play(scheduler, late, make_epoch_metrics) == ["CONTINUE", "STOP", "CONTINUE", "CONTINUE"]


def test_hyperband_brackets_depend_on_the_trial_id(make_scheduler, make_epoch_metrics):
    def brackets():
        scheduler = make_scheduler(name="hyperband")
        play(scheduler, [(f"{i:04d}", 1, 0.5) for i in range(200)], make_epoch_metrics)
        assert isinstance(scheduler._rule, DeterministicASHA)
        counts = [len(ray_compat.rungs(scheduler._rule._asha, f"{i:04d}")) for i in range(200)]
        return [max(counts) - count for count in counts]

    first_session = brackets()
    assert first_session == brackets()
    counts = [first_session.count(bracket) for bracket in range(3)]
    assert counts[0] > counts[1] > counts[2] > 0


def test_the_first_pending_trial_runs_next(make_search_config):
    """Only live trials are scanned, not all trials of the search."""

    class LiveTrial:
        def __init__(self, trial_id, status):
            self.config = {"trial_id": trial_id}
            self.status = status

    class Controller:
        live: ClassVar = {
            LiveTrial(*trial)
            for trial in (("0009", "PENDING"), ("0007", "RUNNING"), ("0008", "PENDING"))
        }

        def get_live_trials(self):
            return self.live

        def get_trials(self):
            raise AssertionError("scans all trials of the search")

    scheduler = ReplayableScheduler(
        make_stopping_rule(make_search_config(scheduler={"name": "asha"}))
    )
    assert scheduler.choose_trial_to_run(Controller()).config == {"trial_id": "0008"}
    Controller.live.clear()
    assert scheduler.choose_trial_to_run(Controller()) is None


def test_median_rule_stops_no_trial_at_its_last_epoch(make_search_config, make_epoch_metrics):
    config = make_search_config(scheduler={"name": "median"}, budget={"max_epochs": 2})
    scheduler = ReplayableScheduler(make_stopping_rule(config))
    good = [(str(i), epoch, 0.1 * i) for i in range(1, 4) for epoch in (1, 2)]
    play(scheduler, good, make_epoch_metrics)
    late = [("8", 1, 0.1), ("8", 2, 5.0), ("9", 1, 5.0)]
    assert play(scheduler, late, make_epoch_metrics) == ["CONTINUE", "CONTINUE", "STOP"]
    assert scheduler.pop_verdict("8", 2) is None
