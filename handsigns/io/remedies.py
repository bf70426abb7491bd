"""What a user can do about an error of the file system."""

from __future__ import annotations

import errno

_REMEDIES = {
    errno.ENOSPC: "make space on that disk",
    errno.EDQUOT: "make space within your quota",
    errno.EROFS: "mount it such that it can be written",
    errno.EACCES: "make it writable",
    errno.EPERM: "make it writable",
    errno.ENOENT: "put it back where it was",
    errno.ENOTDIR: "put it back where it was",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "allow more open files on this machine",
    errno.EIO: "see what is wrong with the disk (dmesg)",
    errno.ESTALE: "mount it again",
}


def remedy_for(error: OSError) -> str:
    """Return what to do about an error; empty where nothing is known but its text."""
    return _REMEDIES.get(error.errno or 0, "")
