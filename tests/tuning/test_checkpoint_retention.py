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
