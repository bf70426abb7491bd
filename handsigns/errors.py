"""The errors a user can cause and mend; each ends a command with a message and exit status 2.

A message says what is wrong, where, and what to do. Anything else that is raised is a bug and keeps
its traceback.
"""

from __future__ import annotations


class HandsignsError(Exception):
    """Base of all errors that are the user's to mend. `str(error)` is what the user reads."""


class ConfigError(HandsignsError):
    """A search-space file, an override or an option that cannot be used."""


class DataError(HandsignsError):
    """A data set that cannot be read as asked."""


class ResultsError(HandsignsError):
    """A search, trial or winner that is missing, unfinished or already there."""


class ResourceError(HandsignsError):
    """More CPUs or GPUs asked for than the machine or cluster has."""
