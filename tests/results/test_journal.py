"""Journal: round trip, damage, torn writes, retries and restarts."""

import json
import math
import subprocess
import sys

import pytest

from handsigns.config.hyperparameters import TrialConfig
from handsigns.errors import ResultsError
from handsigns.io.event_log import encode_event, read_events
from handsigns.metrics import EpochMetrics
from handsigns.results.events import TrialEnded
from handsigns.results.journal import Journal
from handsigns.results.timeline import read_timeline
from handsigns.results.trial import Conclusion, Decision, Placement, Session, Verdict
from tests.support.records import make_spec

PARAMS = {"learning_rate": 1e-3, "batch_size": 16}
PLACEMENT = Placement("laptop/1", "cpu", 1)


def metrics(epoch, loss=0.5):
    return EpochMetrics(epoch, 0.7, 0.6, loss, 0.8, 0.8, 1e-3, 1.5, 0.75, 0.7)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


def write_journal(path):
    journal = Journal(path, writable=True)
    journal.start_trial(make_spec("0000", PARAMS))
    journal.report_epoch("0000", metrics(1), PLACEMENT)
    journal.start_trial(make_spec("0001", {"learning_rate": 1e-2}))
    journal.report_epoch("0000", metrics(2, 1 / 3), PLACEMENT)
    journal.end_trial("0000", "completed")
    journal.clock = lambda: 12.5
    journal.end_session("time is up", interrupted=False)
    journal.close()
    return journal


def test_full_configuration_is_recorded_independent_of_defaults(path):
    journal = Journal(path, writable=True)
    config = TrialConfig(learning_rate=0.01, dropout=0.4, ema_epochs=3.0)
    journal.start_trial(make_spec("0000", {"learning_rate": 0.01}, config=config))
    journal.close()
    after = Journal(path)["0000"]
    assert (after.params, after.config) == ({"learning_rate": 0.01}, config)


def test_round_trip_is_exact(path):
    before = write_journal(path)
    after = Journal(path)
    assert after.records == before.records
    assert after.reports == before.reports
    assert after.elapsed == 12.5
    started, other, ended = after.history
    assert (started.spec, other.trial_id) == (make_spec("0000", PARAMS), "0001")
    assert (type(ended), ended.trial_id) == (TrialEnded, "0000")
    assert after.conclusion == Conclusion(12.5, 1, 1)
    assert after["0000"].status == "completed"
    assert after["0000"].epochs == (metrics(1), metrics(2, 1 / 3))
    assert after["0000"].seconds == 3.0
    assert after["0001"].status == "running"


def test_recomputed_epochs_are_recorded_once(path):
    journal = Journal(path, writable=True)
    journal.start_trial(make_spec("0000", PARAMS))
    for epoch in (1, 2, 1, 2, 3):
        journal.report_epoch("0000", metrics(epoch), PLACEMENT)
    with pytest.raises(ValueError, match="epoch 5 after 3"):
        journal.report_epoch("0000", metrics(5), PLACEMENT)
    journal.close()
    assert [m.epoch for m in Journal(path)["0000"].epochs] == [1, 2, 3]
    assert path.read_text().count('"epoch"') == 2 * 3  # the event and its metrics' number


def test_torn_last_line_is_dropped_and_overwritten(path):
    write_journal(path)
    content = path.read_bytes()
    for length in range(len(content) - 60, len(content)):
        path.write_bytes(content[:length])
        Journal(path)
        assert path.read_bytes() == content[:length], "a reader changes nothing"
    journal = Journal(path, writable=True)
    journal.report_epoch("0001", metrics(1), PLACEMENT)
    journal.close()
    assert Journal(path)["0001"].epochs == (metrics(1),)
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_damaged_line_error_names_line_and_remedy(path):
    write_journal(path)
    lines = path.read_bytes().splitlines(keepends=True)
    for damaged in (lines[2][:10] + b"\n", lines[2].replace(b"0.01", b"0.02"), b"\0" * 50 + b"\n"):
        path.write_bytes(b"".join([*lines[:2], damaged, *lines[3:]]))
        with pytest.raises(ResultsError, match=r"line 3 is damaged.*\(head -n 2\)"):
            Journal(path)
    path.write_bytes(b"".join(lines[:2]))
    assert len(Journal(path)["0000"].epochs) == 1


@pytest.mark.parametrize("read", [Journal, read_timeline])
def test_an_unknown_event_is_an_error_of_the_results(path, read):
    path.write_bytes(encode_event({"event": "trial_cloned", "time": 1.0, "elapsed": 1.0}))
    with pytest.raises(ResultsError, match=r"does not understand .* unknown event trial_cloned"):
        read(path)


def test_garbage_after_a_power_failure_is_truncated(path):
    write_journal(path)
    content = path.read_bytes()
    for garbage in (b"\0" * 4096, b"\0\n\0\n", b'{"event": "trial_ended"}\n', b"\xff\xfe\n" * 3):
        path.write_bytes(content + garbage)
        assert len(Journal(path)) == 2
        Journal(path, writable=True).close()
        assert path.read_bytes() == content


def test_event_writes_are_atomic_on_a_full_disk(path):
    """Simulated by a file size limit within a line."""
    limit = 3 * len(encode_event({"event": "session_ended", "reason": "x" * 40})) + 50
    script = f"""
import resource, signal
from pathlib import Path
from handsigns.io.event_log import EventLog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
log = EventLog(Path({str(path)!r}), 0)
for _ in range(4):
    log.append({{"event": "session_ended", "reason": "x" * 40}})
"""
    completed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert "OSError" in completed.stderr
    events, valid_bytes = read_events(path)
    assert len(events) == 3
    assert path.stat().st_size == valid_bytes


def test_moved_or_replaced_journal_is_detected(path):
    journal = Journal(path, writable=True)
    journal.start_trial(make_spec("0000", PARAMS))
    path.rename(path.with_name("elsewhere.jsonl"))
    journal._log._synced = float("-inf")  # a second later
    with pytest.raises(FileNotFoundError):
        journal.end_trial("0000", "completed")
    path.write_text("another")
    with pytest.raises(OSError, match="replaced by another file"):
        journal.end_trial("0000", "completed")


def test_sessions_and_verdicts_are_recorded(path):
    journal = Journal(path, writable=True)
    verdicts = [
        Verdict(1, 0.5, None, 0, action="continue"),
        Verdict(2, 0.5, 0.25, 3, action="stop"),
    ]
    for number, verdict in enumerate(verdicts):
        journal.start_session(Session(f"data {number}", {"python": "3.11"}))
        journal.resume_trial("0000") if number else journal.start_trial(make_spec("0000", PARAMS))
        journal.report_epoch("0000", metrics(number + 1), PLACEMENT, verdict)
    journal.record_worker_lost("0000", "node", "gone")
    journal.record_worker_lost("0000", "process", "killed")
    journal.close()
    after = Journal(path)
    assert [session.fingerprint for session in after.sessions] == ["data 0", "data 1"]
    assert after.decisions == [Decision("0000", i + 1, v) for i, v in enumerate(verdicts)]
    assert after["0000"].sessions == (0, 1)
    assert (after["0000"].retries, after["0000"].loss_scope) == (1, "process"), (
        "a lost node is no retry"
    )


def test_reset_trial_restarts_without_epochs(path):
    journal = write_journal(path)
    journal = Journal(path, writable=True)
    journal.report_epoch("0001", metrics(1), PLACEMENT)
    journal.reset_trial("0001")
    assert journal["0001"].epochs == ()
    journal.report_epoch("0001", metrics(1, 0.25), PLACEMENT)
    journal.close()
    after = Journal(path)
    assert after["0001"].epochs == (metrics(1, 0.25),)
    assert [(r.trial_id, r.metrics.val_loss) for r in after.reports] == [
        ("0000", 0.5), ("0000", 1 / 3), ("0001", 0.25)
    ]  # fmt: skip


def test_reset_of_a_paused_trial_leaves_it_to_be_resumed(path):
    journal = Journal(path, writable=True)
    journal.start_trial(make_spec("0000"))
    journal.report_epoch("0000", metrics(1), PLACEMENT, Verdict(1, 0.5, None, 0, "pause"))
    assert journal["0000"].status == "paused"
    journal.reset_trial("0000")
    journal.close()
    assert Journal(path)["0000"].status == "interrupted"


def test_resumed_trial_keeps_its_epochs(path):
    journal = write_journal(path)
    journal = Journal(path, writable=True)
    journal.report_epoch("0001", metrics(1), PLACEMENT)
    journal.end_trial("0001", "interrupted")
    journal.resume_trial("0001")
    assert journal["0001"].status == "running"
    assert journal["0001"].ended_at is None
    assert len(journal["0001"].epochs) == 1
    journal.close()


def test_read_only_journal_rejects_writes(path):
    with pytest.raises(RuntimeError, match="opened for reading"):
        Journal(path).start_trial(make_spec("0000", PARAMS))


def test_metrics_missing_in_an_earlier_journal_are_nan(path):
    write_journal(path)
    added = {"val_balanced_accuracy", "val_macro_f1"}
    lines = []
    for event in read_events(path)[0]:
        if event["event"] == "epoch":
            event["metrics"] = {k: v for k, v in event["metrics"].items() if k not in added}
        lines.append(encode_event(event))
    path.write_bytes(b"".join(lines))
    last = Journal(path)["0000"].last_epoch
    assert (last.val_loss, last.val_accuracy) == (1 / 3, 0.8)
    assert math.isnan(last.val_balanced_accuracy)
    assert math.isnan(last.val_macro_f1)
