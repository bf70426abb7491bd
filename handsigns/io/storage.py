"""Places that several machines reach: a shared folder, or an object store such as S3, by its URL.

A place is known by its path or URL alone, so that it can be handed to a process elsewhere, which
connects with credentials of its own.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl

from handsigns.errors import ConfigError
from handsigns.io.atomic import replacing, sweep

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs")
_OPTIONS = frozenset({
    "endpoint_override", "scheme", "region", "anonymous", "allow_bucket_creation",
    "allow_bucket_deletion", "project_id", "retry_limit_seconds", "enable_tls", "credential_kind",
    "tenant_id", "blob_storage_authority", "dfs_storage_authority", "blob_storage_scheme",
    "dfs_storage_scheme", "user", "replication",
})  # fmt: skip
"""What a URL may tell beside the place: none of it is a secret."""


class Storage(Protocol):
    """Files under names such as ``winner/model.safetensors``. All methods raise OSError."""

    def under(self, name: str) -> Storage:
        """The place of a folder in it."""

    @property
    def address(self) -> str:
        """What `open_storage` knows it by."""

    @property
    def on_disk(self) -> bool:
        """Whether it is a folder, where trouble does not pass by itself."""

    def reach(self) -> None:
        """See that a folder that the user named is there, and its disk mounted."""

    def prepare(self) -> None:
        """Reach it, and make the folder below that, where places have folders."""

    def read(self, name: str) -> bytes:
        """A file's content; FileNotFoundError where there is none."""

    def write(self, name: str, data: bytes, keep: str | None = None) -> None:
        """Write a file, whole or not at all.

        Args:
            keep: where a disk keeps the file already there, as a power cut can leave a new one of
                the right length with other content; object stores take objects whole.
        """

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def sweep(self, of: str = "") -> None:
        """Remove what killed writers left half-written, where no one writes now; see `files`."""


def open_storage(place: str) -> Storage:
    """The place that a path or URL names; nothing is looked for there yet.

    Raises:
        ConfigError: it can be none.
    """
    found = _SCHEME.match(place)
    if found is None:
        try:
            return FolderStorage(Path(place).expanduser().absolute())
        except RuntimeError as error:
            raise ConfigError(f"storage {place!r}: {error}") from error
    scheme, rest = found[1].lower(), place[found.end() :]
    if scheme not in _SCHEMES:
        raise ConfigError(
            f"storage {place!r}: {scheme} is none of the stores that are known "
            f"({', '.join(_SCHEMES)}); or give the path of a shared folder"
        )
    location, _, options = rest.partition("?")
    unknown = [name for name, _ in parse_qsl(options, True) if name.lower() not in _OPTIONS]
    if (scheme in ("s3", "gs", "gcs") and "@" in location) or unknown:
        raise ConfigError(
            "storage: a URL may say no more than where the place is "
            f"({', '.join(unknown) or 'what stands before @'} is not known), as credentials in it "
            "would be kept in files; give those as the store's own tools take them "
            "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, the role of the machine)"
        )
    if not location.strip("/"):
        raise ConfigError(f"storage {place!r} names no bucket: {scheme}://bucket/folder")
    return ObjectStorage(f"{scheme}://{location.rstrip('/')}", options)


def check_writable(place: Storage) -> None:
    """Write a file there, read it and remove it; OSError where that fails."""
    name, data = f".probe-{secrets.token_hex(8)}", secrets.token_bytes(16)
    place.write(name, data)
    found = place.read(name)
    place.remove(name)
    if found != data:
        raise OSError(errno.EIO, "what was written there was not what was read", str(place))


def unusable(place: str, error: OSError) -> str:
    """What to tell a user whose storage cannot be written and read."""
    advice = (
        "see that the bucket is there, that its address is right (for a store other than the "
        "provider's own: ?endpoint_override=HOST:PORT&scheme=http), and that the credentials that "
        "the store's tools take (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, the role "
        "of the machine) may read and write there"
    )
    if _SCHEME.match(place) is None:
        advice = "it must be a folder that may be written, and that every node has at this path"
    return f"the storage {place} cannot be used: {error.strerror or error}\n{advice}"


@dataclass(frozen=True)
class FolderStorage:
    """A folder, which the machines that use it share.

    Attributes:
        path: absolute.
        below: the folder that the user named, of which this one is a part; None: it is that one.
    """

    path: Path
    below: Path | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def address(self) -> str:
        """See `Storage`."""
        return str(self.path)

    def under(self, name: str) -> FolderStorage:
        """See `Storage`."""
        return FolderStorage(self.path / name, self.below or self.path)

    @property
    def on_disk(self) -> bool:
        """It is."""
        return True

    def reach(self) -> None:
        """See `Storage`."""
        named = self.below or self.path.parent
        if not named.is_dir():
            problem = "there is no such folder; make it, or mount what is to be there"
            raise OSError(errno.ENXIO, problem, str(named))

    def prepare(self) -> None:
        """See `Storage`."""
        self.reach()
        self.path.mkdir(parents=True, exist_ok=True)

    def read(self, name: str) -> bytes:
        """See `Storage`."""
        return (self.path / name).read_bytes()

    def write(self, name: str, data: bytes, keep: str | None = None) -> None:
        """See `Storage`. A folder that is gone was moved away: making it anew would hide that."""
        if "/" in name and self.path.is_dir():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        kept = self.path / keep if keep else None
        with replacing(self.path / name, keep=kept) as temporary:
            temporary.write_bytes(data)

    def remove(self, name: str) -> None:
        """See `Storage`."""
        (self.path / name).unlink(missing_ok=True)

    def sweep(self, of: str = "") -> None:
        """See `Storage`."""
        sweep(self.path, of=of)


@dataclass(frozen=True)
class ObjectStorage:
    """What lies below a URL in an object store, through Arrow's file systems.

    Attributes:
        url: without options: ``s3://bucket/folder``.
        options: for Arrow: ``endpoint_override=localhost:9000&scheme=http``.
    """

    url: str
    options: str = ""

    def __str__(self) -> str:
        return self.url

    @property
    def address(self) -> str:
        """See `Storage`."""
        return f"{self.url}?{self.options}" if self.options else self.url

    def under(self, name: str) -> ObjectStorage:
        """See `Storage`."""
        return ObjectStorage(f"{self.url}/{name}", self.options)

    @property
    def on_disk(self) -> bool:
        """It is not."""
        return False

    def reach(self) -> None:
        """Nothing: whether a store is there is told by what is asked of it."""

    def prepare(self) -> None:
        """Nothing: objects need no folder."""

    def read(self, name: str) -> bytes:
        """See `Storage`."""
        system, root = self._opened
        with self._told():
            while True:
                with system.open_input_stream(f"{root}/{name}") as stream:
                    data = bytes(stream.read())
                # Its size is asked for first: of one replaced since, that much would be read.
                if system.get_file_info(f"{root}/{name}").size == len(data):
                    return data

    def write(self, name: str, data: bytes, keep: str | None = None) -> None:
        """See `Storage`."""
        system, root = self._opened
        with self._told(), system.open_output_stream(f"{root}/{name}") as stream:
            stream.write(data)

    def remove(self, name: str) -> None:
        """See `Storage`."""
        system, root = self._opened
        with self._told(), contextlib.suppress(FileNotFoundError):
            system.delete_file(f"{root}/{name}")

    def sweep(self, of: str = "") -> None:
        """Nothing: an object is there whole or not at all."""

    @property
    def _opened(self) -> tuple[Any, str]:
        with self._told():
            return _connect(self.address)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Give Arrow's errors, which have no number, one, and the URL."""
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, ValueError, NotImplementedError) as error:
            raise OSError(errno.EIO, " ".join(str(error).split()), self.url) from error


@functools.lru_cache(maxsize=64)
def _connect(url: str) -> tuple[Any, str]:
    """Arrow's file system, which keeps its connections, and the path in it."""
    from pyarrow.fs import FileSystem

    system, root = FileSystem.from_uri(url)
    return system, str(root)
