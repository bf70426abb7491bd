"""Object stores such as S3, by their URL, as a `Storage`."""

from __future__ import annotations

import contextlib
import errno
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ObjectStorage:
    """Object store below a URL, accessed through Arrow's file systems.

    Attributes:
        url: URL without options: ``s3://bucket/folder``.
        options: Arrow's options: ``endpoint_override=localhost:9000&scheme=http``.
    """

    url: str
    options: str = ""

    def __str__(self) -> str:
        return self.url

    @property
    def uri(self) -> str:
        """See `Storage`."""
        return f"{self.url}?{self.options}" if self.options else self.url

    def joinpath(self, name: str) -> ObjectStorage:
        """See `Storage`."""
        return ObjectStorage(f"{self.url}/{name}", self.options)

    @property
    def is_filesystem(self) -> bool:
        """See `Storage`; always false."""
        return False

    def check_reachable(self) -> None:
        """Do nothing: only a request shows whether a store is reachable."""

    def create(self) -> None:
        """Do nothing: objects need no folder."""

    def names(self) -> set[str]:
        """See `Storage`."""
        from pyarrow.fs import FileSelector

        system, root = self._filesystem
        with self._error_context():
            found = system.get_file_info(FileSelector(root, allow_not_found=True))
        return {entry.base_name for entry in found if entry.is_file}

    def read(self, name: str) -> bytes:
        """See `Storage`."""
        system, root = self._filesystem
        with self._error_context():
            while True:
                with system.open_input_stream(f"{root}/{name}") as stream:
                    data = bytes(stream.read())
                # Arrow asks for the size first: of an object replaced meanwhile, only that many
                # bytes would be read.
                if system.get_file_info(f"{root}/{name}").size == len(data):
                    return data

    def write(self, name: str, data: bytes, backup: str | None = None) -> None:
        """See `Storage`."""
        system, root = self._filesystem
        with self._error_context(), system.open_output_stream(f"{root}/{name}") as stream:
            stream.write(data)

    def remove(self, name: str) -> None:
        """See `Storage`."""
        system, root = self._filesystem
        with self._error_context(), contextlib.suppress(FileNotFoundError):
            system.delete_file(f"{root}/{name}")

    def remove_temporary_files(self, prefix: str = "") -> None:
        """Do nothing: object writes are atomic."""

    @property
    def _filesystem(self) -> tuple[Any, str]:
        with self._error_context():
            return _connect(self.uri)

    @contextlib.contextmanager
    def _error_context(self) -> Iterator[None]:
        """Add an errno and the URL to Arrow's errors, which have neither."""
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, ValueError, NotImplementedError) as error:
            raise OSError(errno.EIO, " ".join(str(error).split()), self.url) from error


@functools.lru_cache(maxsize=64)
def _connect(url: str) -> tuple[Any, str]:
    """Return Arrow's file system, which keeps its connections, and the path in it."""
    from pyarrow.fs import FileSystem

    system, root = FileSystem.from_uri(url)
    return system, str(root)
