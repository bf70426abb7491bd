"""Manifest of a search's copy in shared storage: ``manifest.json`` beside its files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from handsigns.io.json_file import parse_json

_PATH_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=@-]{0,254}")


@dataclass(frozen=True)
class Manifest:
    """Content and version of a copy.

    Attributes:
        storage: location of the copy, for `open_storage`.
        version: random ID of this version.
        previous_version: version that it replaced; empty for the first.
        files: digest of each file by its name.
        written_by: process that wrote it, for messages.
        running: whether that process was running the search.
        written_at: time of writing in seconds since the Unix epoch.
        incomplete: whether a push has begun to replace the files; it stays set if that dies.
    """

    storage: str
    version: str
    previous_version: str
    files: Mapping[str, str]
    written_by: str
    running: bool
    written_at: float
    incomplete: bool = False

    @property
    def files_may_be_newer(self) -> bool:
        """Whether files of the copy may be newer than their digests here."""
        return self.running or self.incomplete


def is_synced(name: str) -> bool:
    """Return whether a file of a search's folder is part of the copy.

    Excluded are checkpoints, which trials write to the storage themselves, hidden files, and names
    that lead out of the folder.
    """
    parts = name.split("/")
    return "checkpoints" not in parts and all(_PATH_PART.fullmatch(part) for part in parts)


def can_fast_forward(
    local: Mapping[str, str], last_synced: Mapping[str, str], remote: Mapping[str, str]
) -> bool:
    """Return whether every local change since the last sync is also in the copy."""
    names = local.keys() | last_synced.keys()
    return all(local.get(name) in (last_synced.get(name), remote.get(name)) for name in names)


def parse_manifest(data: bytes) -> Manifest:
    """Parse a manifest.

    Raises:
        ValueError: it is damaged, or lists a name that `is_synced` excludes.
    """
    manifest = parse_json(data, Manifest)
    excluded = [name for name in manifest.files if not is_synced(name)]
    if excluded:
        raise ValueError(f"it lists {excluded[0]!r}")
    return manifest
