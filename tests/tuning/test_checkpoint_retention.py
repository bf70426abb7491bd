"""Retention of checkpoints where the storage fails."""

import errno

import pytest

from handsigns.config.sections import Objective
from handsigns.io.object_storage import ObjectStorage
from handsigns.io.storage import FolderStorage
from handsigns.results.checkpoints import CheckpointStore
from handsigns.tuning.checkpoint_retention import CheckpointRetention
from tests.support.records import make_record


def fail(*_):
    raise OSError(errno.EIO, "connection lost")


def retention_without_space(storage):
    return CheckpointRetention(CheckpointStore(storage), Objective(), [], num_kept=0)


def test_failed_deletion_in_an_object_store_is_skipped(monkeypatch):
    monkeypatch.setattr(ObjectStorage, "remove", fail)
    retention_without_space(ObjectStorage("s3://bucket/first")).add(make_record("0001"))


def test_failed_deletion_in_a_folder_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(FolderStorage, "remove", fail)
    with pytest.raises(OSError, match="connection lost"):
        retention_without_space(FolderStorage(tmp_path)).add(make_record("0001"))


def test_only_checkpoints_that_exist_are_deleted_after_a_resume(monkeypatch, tmp_path):
    """Each deletion in an object store is a request."""
    removed = []
    monkeypatch.setattr(CheckpointStore, "remove", lambda _, trial_id: removed.append(trial_id))
    store = CheckpointStore(FolderStorage(tmp_path))
    for trial_id in ("0000", "0001", "0002", "0004", "0005"):
        store.save(trial_id, b"weights")
    ended = [make_record(f"{n:04d}", [0.5 + n / 10]) for n in range(5)]
    CheckpointRetention(store, Objective(), [*ended, make_record("0005", [0.1], "running")])
    assert removed == ["0004"]


def test_the_most_promising_paused_trials_keep_theirs_after_a_resume(monkeypatch, tmp_path):
    monkeypatch.setattr("handsigns.tuning.checkpoint_retention.NUM_PAUSED_KEPT", 2)
    store = CheckpointStore(FolderStorage(tmp_path))
    paused = [make_record(f"{n:04d}", [1 - n / 10], status="paused") for n in range(6)]
    kept = [record.trial_id for record in paused[-2:]]

    def pause(retention, records):
        for record in records:
            store.save(record.trial_id, b"weights")
            retention.add_paused(record)

    pause(CheckpointRetention(store, Objective(), []), paused[:3])
    pause(CheckpointRetention(store, Objective(), paused[:3]), paused[3:])
    assert sorted(path.name.split(".")[0] for path in tmp_path.iterdir()) == kept
