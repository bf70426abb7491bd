"""Trackers beside a running search: ordered, independent, and unable to end it."""

import threading

import pytest

from handsigns.tracking.background import tracking

TOOLS = ("optuna",)


class RecordingTracker:
    """Tracker that keeps the records it receives."""

    def __init__(self, tool="optuna", update=None):
        self.name = tool
        self.calls = []
        self.received = {}
        self._update = update

    def open(self, records):
        self.calls.append("open")

    def update(self, record):
        if self._update is not None:
            self._update(record)
        self.calls.append(record.trial_id)
        self.received[record.trial_id] = record

    def flush(self):
        pass

    def close(self, records):
        self.calls.append("close")


def test_trials_arrive_in_order_and_in_their_final_state(scripted):
    scripted.first_session()
    tracker, messages = RecordingTracker(), []
    with tracking(
        scripted.search, TOOLS, scripted.journal, messages.append, lambda *_: tracker
    ) as observer:
        scripted.second_session()
        scripted.start_trial("0006", 2)
        observer.on_epoch(scripted.journal["0006"])
        scripted.journal.end_trial("0006", "interrupted")
    assert tracker.received == {record.trial_id: record for record in scripted.journal.records}
    assert tracker.calls[0] == "open"
    assert tracker.calls[-1] == "close"
    first = list(dict.fromkeys(tracker.calls[1:-1]))
    assert first == [f"{n:04d}" for n in range(7)], "Optuna numbers trials in this order"
    assert messages == []


@pytest.mark.parametrize(
    ("setting", "target"), [(True, "mlflow"), ("http://host:5000", "mlflow=http://host:5000")]
)
def test_a_failing_tracker_is_reported_once_and_disabled(make_scripted, setting, target):
    scripted = make_scripted(tracking={"mlflow": setting})
    scripted.first_session()

    def fail(record):
        raise ConnectionError("server\x1b[31m down\nmore")

    trackers = {"optuna": RecordingTracker(), "mlflow": RecordingTracker("mlflow", fail)}
    messages = []
    tools = ("optuna", "mlflow")
    with tracking(
        scripted.search, tools, scripted.journal, messages.append, lambda tool, _: trackers[tool]
    ) as observer:
        scripted.second_session()
        for _ in range(3):
            observer.on_epoch(scripted.journal["0005"])
    assert trackers["optuna"].calls[-1] == "close"
    assert trackers["optuna"].received["0005"] == scripted.journal["0005"]
    assert trackers["mlflow"].calls == ["open"]
    assert messages == [
        "mlflow was disabled: ConnectionError: server\\x1b[31m down; export later with: "
        f"{scripted.paths.command('track', '--to', target)}"
    ]


def test_a_hanging_tracker_never_delays_the_search(scripted, monkeypatch):
    monkeypatch.setattr("handsigns.tracking.background._DRAIN_TIMEOUT_S", 0.1)
    gate = threading.Event()
    messages = []
    tracker = RecordingTracker(update=lambda record: gate.wait(60))
    with tracking(
        scripted.search, TOOLS, scripted.journal, messages.append, lambda *_: tracker
    ) as observer:
        scripted.first_session()
        for _ in range(1000):
            observer.on_epoch(scripted.journal["0004"])
        assert len(observer._workers[0]._pending) <= 5, "only the latest record of each trial"
    gate.set()
    assert "optuna did not finish within" in messages[-1]


def test_an_abandoned_tracker_reports_nothing_more(scripted, monkeypatch):
    monkeypatch.setattr("handsigns.tracking.background._DRAIN_TIMEOUT_S", 0.1)
    gate = threading.Event()
    messages = []

    def fail_late(record):
        gate.wait(60)
        raise OSError("the folder is gone")

    tracker = RecordingTracker(update=fail_late)
    with tracking(
        scripted.search, TOOLS, scripted.journal, messages.append, lambda *_: tracker
    ) as observer:
        scripted.first_session()
    gate.set()
    observer._workers[0].join(60)
    assert "optuna did not finish within" in messages[-1]
