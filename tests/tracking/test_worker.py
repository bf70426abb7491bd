"""Trackers beside a search: in order, each by itself, and none able to end it."""

import threading

from handsigns.tracking.worker import tracking

TOOLS = ("optuna",)


class Noted:
    """A tracker that keeps what it is given."""

    def __init__(self, tool="optuna", update=None):
        self.name = tool
        self.calls = []
        self.given = {}
        self._update = update

    def open(self, records):
        self.calls.append("open")

    def update(self, record):
        if self._update is not None:
            self._update(record)
        self.calls.append(record.trial_id)
        self.given[record.trial_id] = record

    def flush(self):
        pass

    def close(self, records):
        self.calls.append("close")


def test_each_trial_arrives_in_its_final_state_and_in_order(played):
    played.first_session()
    noted, said = Noted(), []
    with tracking(
        played.search, TOOLS, played.journal, said.append, lambda tool, search: noted
    ) as seen:
        played.second_session()
        played.begin("0006", 2)
        seen.on_epoch(played.journal["0006"])
        played.journal.end("0006", "interrupted")
    assert noted.given == {record.trial_id: record for record in played.journal.records}
    assert noted.calls[0] == "open"
    assert noted.calls[-1] == "close"
    first = list(dict.fromkeys(noted.calls[1:-1]))
    assert first == [f"{n:04d}" for n in range(7)], "Optuna numbers trials in this order"
    assert said == []


def test_a_tracker_that_raises_is_reported_once_and_harmless(make_played):
    played = make_played(tracking={"mlflow": True})
    played.first_session()

    def fail(record):
        raise ConnectionError("server\x1b[31m down\nmore")

    made = {"optuna": Noted(), "mlflow": Noted("mlflow", fail)}
    said = []
    tools = ("optuna", "mlflow")
    with tracking(played.search, tools, played.journal, said.append, lambda t, _: made[t]) as seen:
        played.second_session()
        for _ in range(3):
            seen.on_epoch(played.journal["0005"])
    assert made["optuna"].calls[-1] == "close"
    assert made["optuna"].given["0005"] == played.journal["0005"]
    assert made["mlflow"].calls == ["open"]
    assert said == [
        "mlflow was switched off: ConnectionError: server\\x1b[31m down; hand it on later: "
        f"{played.paths.command('track', '--to', 'mlflow')}"
    ]


def test_a_search_never_waits_for_a_tracker_that_hangs(played, monkeypatch):
    monkeypatch.setattr("handsigns.tracking.worker._DRAIN_SECONDS", 0.1)
    gate = threading.Event()
    said = []
    noted = Noted(update=lambda record: gate.wait(60))
    with tracking(played.search, TOOLS, played.journal, said.append, lambda *_: noted) as seen:
        played.first_session()
        for _ in range(1000):
            seen.on_epoch(played.journal["0004"])
        assert len(seen._workers[0]._waiting) <= 5, "the latest record of each trial waits"
    gate.set()
    assert "optuna has not got everything within" in said[-1]
