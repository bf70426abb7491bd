import dataclasses
from types import SimpleNamespace

import pytest

from handsigns.config.execution import FaultTolerance
from handsigns.results.trial import Placement
from handsigns.tuning.protocol import TrialReport
from handsigns.tuning.watchdog import Watchdog
from tests.support.records import make_epoch_metrics


def epoch_result(seconds):
    """Return the result that Ray passes on when a trial reports an epoch of that duration."""
    metrics = dataclasses.replace(make_epoch_metrics(1, 0.5), epoch_seconds=seconds)
    return TrialReport("epoch", metrics=metrics, placement=Placement("a/1", "cpu", 1)).to_dict()


class Trial:
    def __init__(self, trial_id, actor):
        self.config = {"trial_id": trial_id}
        self.temporary_state = SimpleNamespace(ray_actor=actor)


class WatchdogHarness:
    """Watchdog with a simulated clock, recording its messages and the actors that it killed."""

    def __init__(self, longest=None, **settings):
        self.now = 1000.0
        self.messages, self.killed = [], []
        self.watchdog = Watchdog(
            FaultTolerance(**settings), longest, self.messages.append,
            kill=lambda actor: self.killed.append((self.now, actor)), clock=lambda: self.now,
        )  # fmt: skip

    def pass_time(self, seconds, trials):
        for _ in range(seconds):
            self.now += 1
            self.watchdog.on_step_begin(0, trials)


def test_a_hung_trial_is_killed_and_reported():
    harness = WatchdogHarness(report_timeout="20s")
    hung, alive, pending = Trial("0001", "a"), Trial("0002", "b"), Trial("0003", None)
    for _ in range(4):
        harness.pass_time(15, [hung, alive, pending])
        harness.watchdog.on_trial_result(0, [], alive, epoch_result(15.0))
    assert harness.killed == [], "a new process imports its libraries first"
    harness.watchdog.on_trial_result(0, [], hung, epoch_result(15.0))
    harness.pass_time(20, [hung, alive, pending])
    assert harness.killed == []
    harness.watchdog.on_trial_result(0, [], alive, epoch_result(15.0))
    harness.pass_time(1, [hung, alive, pending])
    assert harness.killed == [(1081.0, "a")]
    assert harness.messages == ["trial 0001 has not reported for 20s; killing its process"]


def test_a_standstill_of_the_driver_counts_against_no_trial():
    """Reports that came meanwhile are waiting to be handled."""
    harness = WatchdogHarness(report_timeout="20s")
    trial = Trial("0001", "a")
    harness.pass_time(1, [trial])
    harness.watchdog.on_trial_result(0, [], trial, epoch_result(15.0))
    harness.now += 660
    harness.pass_time(20, [trial])
    assert harness.killed == []
    harness.pass_time(2, [trial])
    assert len(harness.killed) == 1


def test_a_trial_that_never_reports_is_killed():
    harness = WatchdogHarness(report_timeout="20s")
    harness.pass_time(100, [Trial("0001", "a")])
    assert [actor for _, actor in harness.killed] == ["a"]


@pytest.mark.parametrize(
    ("earlier", "epoch", "timeout"), [(None, None, 3600), (None, 2.0, 600), (100.0, 2.0, 1000)]
)
def test_the_timeout_depends_on_the_longest_epoch(earlier, epoch, timeout):
    harness = WatchdogHarness(earlier)
    trial = Trial("0001", "a")
    harness.pass_time(1, [trial])
    if epoch:
        harness.watchdog.on_trial_result(0, [], trial, epoch_result(epoch))
    startup_grace = 60 if epoch is None else 0
    harness.pass_time(timeout + startup_grace, [trial])
    assert harness.killed == []
    harness.pass_time(2, [trial])
    assert len(harness.killed) == 1
