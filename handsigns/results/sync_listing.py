"""What the copy of a search in a storage holds, as ``files.json`` beside it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from handsigns.io.json_file import parse_json

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=@-]{0,254}")


@dataclass(frozen=True)
class Listing:
    """What a copy holds.

    Attributes:
        place: of the copy, as `open_storage` knows it.
        version: of its own.
        before: version that it follows; empty for the first.
        files: digest of each file, by its name.
        by: who wrote it, for people.
        running: whether the search was being run.
        written_at: in seconds since the Unix epoch.
    """

    place: str
    version: str
    before: str
    files: Mapping[str, str]
    by: str
    running: bool
    written_at: float


def is_copied(name: str) -> bool:
    """Whether a file of a search's folder is part of the copy: not checkpoints, which trials keep
    in the storage themselves, nor anything hidden; nor a name that would lead out of the folder.
    """
    parts = name.split("/")
    return "checkpoints" not in parts and all(_PART.fullmatch(part) for part in parts)


def follows(here: Mapping[str, str], seen: Mapping[str, str], there: Mapping[str, str]) -> bool:
    """Whether nothing was changed here that is not there; some may have been fetched before."""
    names = here.keys() | seen.keys()
    return all(here.get(name) in (seen.get(name), there.get(name)) for name in names)


def read_listing(data: bytes) -> Listing:
    """A listing; ValueError where it is damaged, or names what is no file of a copy."""
    listing = parse_json(data, Listing)
    strange = [name for name in listing.files if not is_copied(name)]
    if strange:
        raise ValueError(f"it names {strange[0]!r}")
    return listing
