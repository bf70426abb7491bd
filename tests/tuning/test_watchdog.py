import dataclasses
from types import SimpleNamespace

import pytest

from handsigns.config.search import Faults
from handsigns.results.trial import Placement
from handsigns.tuning.messages import TrialReport
from handsigns.tuning.watchdog import Watchdog
from tests.support.records import epoch_of


def report_of(seconds):
    """What Ray hands on where a trial reports an epoch of so many seconds."""
    metrics = dataclasses.replace(epoch_of(1, 0.5), epoch_seconds=seconds)
    return TrialReport("epoch", metrics=metrics, placement=Placement("a/1", "cpu", 1)).to_dict()


class Trial:
    def __init__(self, trial_id, actor):
        self.config = {"trial_id": trial_id}
        self.temporary_state = SimpleNamespace(ray_actor=actor)


class Scene:
    """Trials on a clock of our own, and who was ended when."""

    def __init__(self, longest=None, **faults):
        self.now = 1000.0
        self.said, self.ended = [], []
        self.watchdog = Watchdog(
            Faults(**faults), longest, self.said.append,
            end=lambda actor: self.ended.append((self.now, actor)), clock=lambda: self.now,
        )  # fmt: skip

    def pass_time(self, seconds, trials):
        for _ in range(seconds):
            self.now += 1
            self.watchdog.on_step_begin(0, trials)


def test_a_silent_trial_is_ended_and_reported():
    scene = Scene(report_timeout="20s")
    silent, lively, waiting = Trial("0001", "a"), Trial("0002", "b"), Trial("0003", None)
    for _ in range(4):
        scene.pass_time(15, [silent, lively, waiting])
        scene.watchdog.on_trial_result(0, [], lively, report_of(15.0))
    assert scene.ended == [], "a fresh process loads its libraries first"
    scene.watchdog.on_trial_result(0, [], silent, report_of(15.0))
    scene.pass_time(20, [silent, lively, waiting])
    assert scene.ended == []
    scene.watchdog.on_trial_result(0, [], lively, report_of(15.0))
    scene.pass_time(1, [silent, lively, waiting])
    assert scene.ended == [(1081.0, "a")]
    assert scene.said == ["trial 0001 has reported nothing for 20s: its process is ended"]


def test_one_that_never_reports_is_ended_too():
    scene = Scene(report_timeout="20s")
    scene.pass_time(100, [Trial("0001", "a")])
    assert [actor for _, actor in scene.ended] == ["a"]


@pytest.mark.parametrize(
    ("earlier", "epoch", "allowed"), [(None, None, 3600), (None, 2.0, 600), (100.0, 2.0, 1000)]
)
def test_what_is_allowed_follows_from_the_longest_epoch(earlier, epoch, allowed):
    scene = Scene(earlier)
    trial = Trial("0001", "a")
    scene.pass_time(1, [trial])
    if epoch:
        scene.watchdog.on_trial_result(0, [], trial, report_of(epoch))
    start = 60 if epoch is None else 0
    scene.pass_time(allowed + start, [trial])
    assert scene.ended == []
    scene.pass_time(2, [trial])
    assert len(scene.ended) == 1
