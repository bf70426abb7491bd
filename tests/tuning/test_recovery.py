"""Recovery of a search from its journal, without Ray."""

import contextlib

import pytest

from handsigns.io.storage import FolderStorage
from handsigns.results.checkpoints import CheckpointStore
from handsigns.results.journal import Journal
from handsigns.results.trial import Placement, Session, Verdict
from handsigns.tuning.recovery import close_session, start_session
from tests.support.records import make_epoch_metrics, make_spec

HERE = Placement("here/1", "cpu", 1)


@pytest.fixture
def journal(tmp_path):
    with contextlib.closing(Journal(tmp_path / "journal.jsonl", writable=True)) as journal:
        journal.start_session(Session("before", {}))
        yield journal


def train(journal, trial_id, epochs=1, verdict=None):
    """Start a trial and report this many epochs, each with the verdict."""
    journal.start_trial(make_spec(trial_id))
    for epoch in range(1, epochs + 1):
        journal.report_epoch(trial_id, make_epoch_metrics(epoch, 0.5), HERE, verdict)


def test_a_reset_on_changed_data_is_repeated_after_a_failure(journal, tmp_path, monkeypatch):
    store = CheckpointStore(FolderStorage(tmp_path))
    for trial_id in ("0000", "0001", "0002"):
        train(journal, trial_id)
        store.save(trial_id, b"of the data before")
    journal.end_trial("0000", "completed")

    def fail_on_last(storage, name, remove=FolderStorage.remove):
        if name.startswith("0002"):
            raise OSError("the storage is not accessible")
        remove(storage, name)

    changed = Session("after", {})
    with monkeypatch.context() as patch:
        patch.setattr(FolderStorage, "remove", fail_on_last)
        with pytest.raises(OSError, match="not accessible"):
            start_session(journal, changed, store)
    start_session(journal, changed, store)
    after = Journal(tmp_path / "journal.jsonl")
    assert [len(record.epochs) for record in after.records] == [1, 0, 0]
    assert [len(list(store.load_all(f"000{number}"))) for number in range(3)] == [1, 0, 0]
    assert [session.fingerprint for session in after.sessions] == ["before", "after"]


@pytest.mark.parametrize("interrupted", [False, True])
def test_trials_at_their_end_are_no_interrupted_ones(journal, interrupted):
    train(journal, "0000", epochs=3)
    train(journal, "0001", epochs=2)
    train(journal, "0002", verdict=Verdict(1, 0.5, 0.4, 2, "stop"))
    train(journal, "0003", verdict=Verdict(1, 0.5, 0.4, 3, "pause"))
    ended = close_session(journal, None, "the target", max_epochs=3, interrupted=interrupted)
    last = "paused" if interrupted else "stopped"
    statuses = [record.status for record in journal.records]
    assert statuses == ["completed", "interrupted", "stopped", last]
    assert ended == [record for record in journal.records if record.is_terminal]
