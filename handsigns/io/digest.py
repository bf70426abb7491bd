"""Digests: what two contents are known to be equal by, and numbers that follow from a text."""

from __future__ import annotations

import hashlib
from pathlib import Path

_BYTES = 16

Hasher = hashlib.blake2b


def hasher() -> Hasher:
    """Return a hash to be fed piece by piece; 16 bytes of BLAKE2b, as of all digests here."""
    return hashlib.blake2b(digest_size=_BYTES)


def digest(content: bytes | str) -> str:
    """Return the hex digest of bytes, or of a text in UTF-8: 32 letters."""
    return _hash(content, _BYTES).hexdigest()


def short_digest(content: bytes | str) -> str:
    """Return a hex digest of 16 letters, for names that need not resist an attacker."""
    return _hash(content, 8).hexdigest()


def file_digest(path: Path) -> str:
    """Return the hex digest of a file's content, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, hasher).hexdigest()


def number_from(text: str, size: int = 8) -> int:
    """Return an integer in [0, 256**size) that follows from a text alone: for seeds."""
    return int.from_bytes(_hash(text, size).digest())


def _hash(content: bytes | str, size: int) -> Hasher:
    data = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    return hashlib.blake2b(data, digest_size=size)
