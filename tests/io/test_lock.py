"""Owners of lock files."""

import errno
import fcntl
import os
import resource

import pytest
from filelock import lock_descriptor

from handsigns.host import describe_process
from handsigns.io import lock


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Return the path of a lock that refuses exclusive locks as NFS does."""

    def lock_as_nfs(descriptor, *, blocking=True):
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return lock_descriptor(descriptor, blocking=blocking)

    monkeypatch.setattr(lock, "lock_descriptor", lock_as_nfs)
    monkeypatch.setattr(lock, "_RETRY_DELAY_S", 0.001)
    return tmp_path / ".lock"


@pytest.fixture(params=[errno.EACCES, errno.EROFS, None])
def write_error(request, path, monkeypatch):
    """Make opening the lock for update fail with this error, if any."""
    original = type(path).open

    def open_file(self, mode="r", **options):
        if mode == "r+" and request.param is not None:
            raise OSError(request.param, os.strerror(request.param), str(self))
        return original(self, mode, **options)

    monkeypatch.setattr(type(path), "open", open_file)


def test_a_lock_is_held_on_a_full_disk(path):
    """Simulated by a file size limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with lock.try_lock(path):
            assert lock.lock_owner(path) == "another process"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("write_error")
def test_owner_of_a_lock_on_nfs_is_found(path):
    assert lock.lock_owner(path) == ""
    with lock.try_lock(path):
        assert lock.lock_owner(path).startswith(describe_process())
    assert lock.lock_owner(path) == ""
