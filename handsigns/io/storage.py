"""Shared storage for several machines: a shared folder, or an object store such as S3 by its URL.

Storage is identified by its path or URL alone, so that it can be passed to a process on another
machine, which connects with its own credentials.
"""

from __future__ import annotations

import errno
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl

from handsigns.errors import ConfigError
from handsigns.io.atomic import atomic_write, remove_temporary_files
from handsigns.io.object_storage import ObjectStorage

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_UNSUITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and the surrogates to which Python decodes bytes that are not UTF-8."""
_PASSWORD = re.compile(r"[^/@:]*:(?!\d*/)[^@]*@")
"""Password before the host; it may contain a slash, but a port and a slash begin a path."""
_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs")
_OPTIONS = frozenset({
    "endpoint_override", "scheme", "region", "anonymous", "allow_bucket_creation",
    "allow_bucket_deletion", "project_id", "retry_limit_seconds", "enable_tls", "credential_kind",
    "tenant_id", "blob_storage_authority", "dfs_storage_authority", "blob_storage_scheme",
    "dfs_storage_scheme", "user", "replication",
})  # fmt: skip
"""Query options allowed in a URL: none of them is a secret."""


class Storage(Protocol):
    """Storage of files by names such as ``winner/a.png``; all methods may raise OSError."""

    def joinpath(self, name: str) -> Storage:
        """Return the storage of a subfolder."""

    @property
    def uri(self) -> str:
        """Path or URL that `open_storage` accepts."""

    @property
    def is_filesystem(self) -> bool:
        """Whether this is a folder, whose errors are not transient."""

    def check_reachable(self) -> None:
        """Check that the folder named by the user exists, and thus that its disk is mounted."""

    def create(self) -> None:
        """Check that the storage is reachable and create its folder, if it has folders."""

    def names(self) -> set[str]:
        """Return the names of the files outside subfolders."""

    def read(self, name: str) -> bytes:
        """Return a file's content; raises FileNotFoundError if it is missing."""

    def write(self, name: str, data: bytes, backup: str | None = None) -> None:
        """Write a file atomically.

        Args:
            name: name of the file.
            data: its content.
            backup: name under which a folder keeps the previous file, since a power cut can leave
                the new one with the right length but wrong content; object stores ignore it.
        """

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""

    def remove_temporary_files(self, prefix: str = "") -> None:
        """Remove temporary files of killed writers, also in subfolders.

        See `atomic.remove_temporary_files`.
        """


def open_storage(location: str) -> Storage:
    """Return the storage at a path or URL, without accessing it yet.

    Raises:
        ConfigError: the path or URL is invalid, unsupported or contains credentials.
    """
    if _UNSUITABLE.search(location):
        raise ConfigError(
            f"storage {location!r} contains control characters or is not UTF-8; rename it"
        )
    found = _SCHEME.match(location)
    if found is None:
        try:
            return FolderStorage(Path(location).expanduser().absolute())
        except RuntimeError as error:
            raise ConfigError(f"storage {location!r}: {error}") from error
    scheme, rest = found[1].lower(), location[found.end() :]
    if scheme not in _SCHEMES:
        raise ConfigError(
            f"storage {location!r}: unknown scheme {scheme} (known: {', '.join(_SCHEMES)}); use "
            f"one of these or the path of a shared folder"
        )
    bucket_path, _, options = rest.partition("?")
    unknown = [name for name, _ in parse_qsl(options, True) if name.lower() not in _OPTIONS]
    if scheme in ("s3", "gs", "gcs") and "@" in bucket_path:
        unknown.append("the part before @")
    elif _PASSWORD.match(bucket_path):
        unknown.append("the password before @")
    if unknown:
        raise ConfigError(
            f"storage: the URL may contain only the location (unknown: {', '.join(unknown)}), "
            "since credentials in it would be written to files; provide those the way the store's "
            "own tools expect them (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, the "
            "machine's role)"
        )
    if not bucket_path.strip("/"):
        raise ConfigError(f"storage {location!r} names no bucket; use {scheme}://bucket/folder")
    return ObjectStorage(f"{scheme}://{bucket_path.rstrip('/')}", options)


def check_writable(storage: Storage) -> None:
    """Write, read and remove a probe file; raises OSError on failure."""
    name, data = f".probe-{secrets.token_hex(8)}", secrets.token_bytes(16)
    storage.write(name, data)
    found = storage.read(name)
    storage.remove(name)
    if found != data:
        raise OSError(errno.EIO, "the data read differ from the data written", str(storage))


def storage_error_message(location: str, error: OSError) -> str:
    """Return the message for storage that cannot be written or read, with the remedy."""
    advice = (
        "check that the bucket exists, that its address is correct (for a store other than the "
        "provider's own: ?endpoint_override=HOST:PORT&scheme=http), and that the credentials of "
        "the store's tools (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, the machine's "
        "role) allow reading and writing"
    )
    if _SCHEME.match(location) is None:
        advice = "it must be a writable folder that exists at this path on every node"
    return f"the storage {location} cannot be used: {error.strerror or error}\n{advice}"


@dataclass(frozen=True)
class FolderStorage:
    """Folder shared by the machines that use it.

    Attributes:
        path: absolute path.
        root: the folder named by the user, of which this is a subfolder; None if this is it.
    """

    path: Path
    root: Path | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def uri(self) -> str:
        """See `Storage`."""
        return str(self.path)

    def joinpath(self, name: str) -> FolderStorage:
        """See `Storage`."""
        return FolderStorage(self.path / name, self.root or self.path)

    @property
    def is_filesystem(self) -> bool:
        """See `Storage`; always true."""
        return True

    def check_reachable(self) -> None:
        """See `Storage`."""
        named = self.root or self.path.parent
        if not named.is_dir():
            problem = "there is no such folder; create it, or mount its file system"
            raise OSError(errno.ENXIO, problem, str(named))

    def create(self) -> None:
        """See `Storage`."""
        self.check_reachable()
        self.path.mkdir(parents=True, exist_ok=True)

    def names(self) -> set[str]:
        """See `Storage`."""
        try:
            return {path.name for path in self.path.iterdir() if path.is_file()}
        except FileNotFoundError:
            return set()

    def read(self, name: str) -> bytes:
        """See `Storage`."""
        return (self.path / name).read_bytes()

    def write(self, name: str, data: bytes, backup: str | None = None) -> None:
        """See `Storage`; a missing folder was moved away, and recreating it would hide that."""
        if "/" in name and self.path.is_dir():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        backup_path = self.path / backup if backup else None
        with atomic_write(self.path / name, backup=backup_path) as temporary:
            temporary.write_bytes(data)

    def remove(self, name: str) -> None:
        """See `Storage`."""
        (self.path / name).unlink(missing_ok=True)

    def remove_temporary_files(self, prefix: str = "") -> None:
        """See `Storage`."""
        remove_temporary_files(self.path, prefix=prefix, recursive=True)
