"""Content digests, and integers derived from text (for seeds)."""

from __future__ import annotations

import hashlib
from pathlib import Path

_DIGEST_SIZE = 16

Hasher = hashlib.blake2b


def hasher() -> Hasher:
    """Return an incremental hasher: BLAKE2b with a 16-byte digest, as used throughout."""
    return hashlib.blake2b(digest_size=_DIGEST_SIZE)


def digest(content: bytes | str) -> str:
    """Return the hex digest (32 characters) of bytes, or of text encoded as UTF-8."""
    return _hash(content, _DIGEST_SIZE).hexdigest()


def short_digest(content: bytes | str) -> str:
    """Return a hex digest of 16 characters, for names that need not resist an attacker."""
    return _hash(content, 8).hexdigest()


def file_digest(path: Path) -> str:
    """Return the hex digest of a file, read in chunks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, hasher).hexdigest()


def hash_to_int(text: str, size: int = 8) -> int:
    """Return an integer in [0, 256**size) that depends on the text alone, for seeds."""
    return int.from_bytes(_hash(text, size).digest())


def _hash(content: bytes | str, size: int) -> Hasher:
    data = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    return hashlib.blake2b(data, digest_size=size)
