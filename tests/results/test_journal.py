import json
import subprocess
import sys

import pytest

from handsigns.config.hyperparameters import TrialConfig
from handsigns.errors import ResultsError
from handsigns.io.event_log import read_events, sealed
from handsigns.metrics import EpochMetrics
from handsigns.results.events import TrialEnded
from handsigns.results.journal import Journal
from handsigns.results.trial import Decision, Placement, Session, Verdict
from tests.support.records import make_spec

PARAMS = {"learning_rate": 1e-3, "batch_size": 16}
HERE = Placement("laptop/1", "cpu", 1)


def metrics(epoch, loss=0.5):
    return EpochMetrics(epoch, 0.7, 0.6, loss, 0.8, 0.8, 1e-3, 1.5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


def written(path):
    journal = Journal(path, writable=True)
    journal.start(make_spec("0000", PARAMS))
    journal.report("0000", metrics(1), HERE)
    journal.start(make_spec("0001", {"learning_rate": 1e-2}))
    journal.report("0000", metrics(2, 1 / 3), HERE)
    journal.end("0000", "completed")
    journal.clock = lambda: 12.5
    journal.pause("time is up", by_user=False)
    journal.close()
    return journal


def test_all_of_a_configuration_is_recorded_whatever_the_defaults_become(path):
    journal = Journal(path, writable=True)
    config = TrialConfig(learning_rate=0.01, dropout=0.4, weight_average=3.0)
    journal.start(make_spec("0000", {"learning_rate": 0.01}, config=config))
    journal.close()
    after = Journal(path)["0000"]
    assert (after.params, after.config) == ({"learning_rate": 0.01}, config)


def test_what_was_written_is_read_back_exactly(path):
    before = written(path)
    after = Journal(path)
    assert after.records == before.records
    assert after.reports == before.reports
    assert after.elapsed == 12.5
    started, other, ended = after.history
    assert (started.spec, other.trial_id) == (make_spec("0000", PARAMS), "0001")
    assert (type(ended), ended.trial_id) == (TrialEnded, "0000")
    assert after.concluded == 1
    assert after["0000"].status == "completed"
    assert after["0000"].epochs == (metrics(1), metrics(2, 1 / 3))
    assert after["0000"].seconds == 3.0
    assert after["0001"].status == "running"


def test_an_epoch_that_is_known_is_recorded_once(path):
    journal = Journal(path, writable=True)
    journal.start(make_spec("0000", PARAMS))
    for epoch in (1, 2, 1, 2, 3):
        journal.report("0000", metrics(epoch), HERE)
    with pytest.raises(ValueError, match="epoch 5 after 3"):
        journal.report("0000", metrics(5), HERE)
    journal.close()
    assert [m.epoch for m in Journal(path)["0000"].epochs] == [1, 2, 3]
    assert path.read_text().count('"epoch"') == 2 * 3  # the event and its metrics' number


def test_a_torn_last_line_is_cut_off_and_written_over(path):
    written(path)
    whole = path.read_bytes()
    for length in range(len(whole) - 60, len(whole)):
        path.write_bytes(whole[:length])
        Journal(path)
        assert path.read_bytes() == whole[:length], "a reader changes nothing"
    journal = Journal(path, writable=True)
    journal.report("0001", metrics(1), HERE)
    journal.close()
    assert Journal(path)["0001"].epochs == (metrics(1),)
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_damage_in_the_middle_names_line_and_remedy(path):
    written(path)
    whole = path.read_bytes().splitlines(keepends=True)
    for damaged in (whole[2][:10] + b"\n", whole[2].replace(b"0.01", b"0.02"), b"\0" * 50 + b"\n"):
        path.write_bytes(b"".join([*whole[:2], damaged, *whole[3:]]))
        with pytest.raises(ResultsError, match=r"line 3 is damaged.*\(head -n 2\)"):
            Journal(path)
    path.write_bytes(b"".join(whole[:2]))
    assert len(Journal(path)["0000"].epochs) == 1


def test_leftovers_of_a_power_cut_are_cut_off(path):
    written(path)
    whole = path.read_bytes()
    for rubbish in (b"\0" * 4096, b"\0\n\0\n", b'{"event": "end"}\n', b"\xff\xfe\n" * 3):
        path.write_bytes(whole + rubbish)
        assert len(Journal(path)) == 2
        Journal(path, writable=True).close()
        assert path.read_bytes() == whole


def test_an_event_is_written_whole_or_not_at_all(path):
    """On a disk that has room for less than a line."""
    limit = 3 * len(sealed({"event": "pause", "reason": "x" * 40})) + 50
    script = f"""
import resource, signal
from pathlib import Path
from handsigns.io.event_log import EventLog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
log = EventLog(Path({str(path)!r}), 0)
for _ in range(4):
    log.append({{"event": "pause", "reason": "x" * 40}})
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert "OSError" in done.stderr
    events, whole = read_events(path)
    assert len(events) == 3
    assert path.stat().st_size == whole


def test_a_journal_that_was_moved_away_is_noticed(path):
    journal = Journal(path, writable=True)
    journal.start(make_spec("0000", PARAMS))
    path.rename(path.with_name("elsewhere.jsonl"))
    journal._log._synced = float("-inf")  # a second later
    with pytest.raises(FileNotFoundError):
        journal.end("0000", "completed")
    path.write_text("another")
    with pytest.raises(OSError, match="replaced by another file"):
        journal.end("0000", "completed")


def test_sessions_and_verdicts_are_kept(path):
    journal = Journal(path, writable=True)
    verdicts = [Verdict(1, 0.5, None, 0, stop=False), Verdict(2, 0.5, 0.25, 3, stop=True)]
    for number, verdict in enumerate(verdicts):
        journal.open_session(Session(f"data {number}", {"python": "3.11"}))
        journal.resume("0000") if number else journal.start(make_spec("0000", PARAMS))
        journal.report("0000", metrics(number + 1), HERE, verdict)
    journal.retry("0000", "node", "gone")
    journal.retry("0000", "process", "killed")
    journal.close()
    after = Journal(path)
    assert [session.fingerprint for session in after.sessions] == ["data 0", "data 1"]
    assert after.decisions == [Decision("0000", i + 1, v) for i, v in enumerate(verdicts)]
    assert after["0000"].sessions == (0, 1)
    assert (after["0000"].retries, after["0000"].lost) == (1, "process"), "a node is no retry"


def test_a_trial_that_starts_over_has_no_past(path):
    journal = written(path)
    journal = Journal(path, writable=True)
    journal.report("0001", metrics(1), HERE)
    journal.start_over("0001")
    assert journal["0001"].epochs == ()
    journal.report("0001", metrics(1, 0.25), HERE)
    journal.close()
    after = Journal(path)
    assert after["0001"].epochs == (metrics(1, 0.25),)
    assert [(r.trial_id, r.metrics.val_loss) for r in after.reports] == [
        ("0000", 0.5), ("0000", 1 / 3), ("0001", 0.25)
    ]  # fmt: skip


def test_a_trial_taken_up_again_keeps_its_epochs(path):
    journal = written(path)
    journal = Journal(path, writable=True)
    journal.report("0001", metrics(1), HERE)
    journal.end("0001", "interrupted")
    journal.resume("0001")
    assert journal["0001"].status == "running"
    assert journal["0001"].ended_at is None
    assert len(journal["0001"].epochs) == 1
    journal.close()


def test_a_reader_cannot_write(path):
    with pytest.raises(RuntimeError, match="opened for reading"):
        Journal(path).start(make_spec("0000", PARAMS))
