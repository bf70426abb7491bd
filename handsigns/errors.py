"""Errors that a user can cause and fix; each ends a command with a message and exit status 2.

A message says what is wrong, where, and the remedy. Any other exception is a bug and keeps its
traceback.
"""

from __future__ import annotations

INTERRUPTED = 130
"""Exit status of a command that the user interrupted."""


class HandsignsError(Exception):
    """Base class of errors that the user can fix; `str(error)` is the message shown."""


class ConfigError(HandsignsError):
    """Invalid search-space file, override or option."""


class DataError(HandsignsError):
    """Data set that cannot be read as requested."""


class ResultsError(HandsignsError):
    """Search, trial or winner that is missing, unfinished, damaged or already exists."""


class UnreadableError(ResultsError):
    """File of a search that cannot be read, such as for lack of permission, but may be intact."""


class ResourceError(HandsignsError):
    """Request for more CPUs or GPUs than the machine or cluster has."""
