"""Remedies for file-system errors."""

from __future__ import annotations

import errno

_REMEDIES = {
    errno.ENOSPC: "free space on that disk",
    errno.EDQUOT: "free space within your quota",
    errno.EROFS: "remount it read-write",
    errno.EACCES: "make it writable",
    errno.EPERM: "make it writable",
    errno.ENOENT: "put it back where it was",
    errno.ENOTDIR: "put it back where it was",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "allow more open files on this machine",
    errno.EIO: "check the disk for errors (dmesg)",
    errno.ESTALE: "mount it again",
}


def os_error_remedy(error: OSError) -> str:
    """Return the remedy for an error; empty if none is known."""
    return _REMEDIES.get(error.errno or 0, "")
