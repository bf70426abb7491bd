"""A server that speaks S3, and what lies in a storage."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

from pyarrow.fs import FileSelector, FileSystem

from handsigns.io.storage import FolderStorage, Storage

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as listener:
        listener.bind((host, 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def s3_server_at(host: str, open_actions: int | None = None) -> Iterator[str]:
    """A server that speaks S3; yields host and port. The bucket `runs` is there.

    Args:
        host: where it listens.
        open_actions: how many it takes from anyone, of which the bucket is one, before it asks for
            credentials that it has given out; None: all.
    """
    address = f"{host}:{free_port(host)}"
    command = [sys.executable, "-m", "moto.server", "-H", host, "-p", address.split(":")[1]]
    environment = os.environ | CREDENTIALS
    if open_actions is not None:
        environment |= {"INITIAL_NO_AUTH_ACTION_COUNT": str(open_actions)}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet, env=environment) as it:
        try:
            while True:
                assert it.poll() is None, "the server ended"
                try:
                    bucket = urllib.request.Request(f"http://{address}/runs", method="PUT")
                    urllib.request.urlopen(bucket, timeout=5).close()
                    break
                except urllib.error.URLError:
                    time.sleep(0.1)
            yield address
        finally:
            it.kill()


def names(place: Storage) -> list[str]:
    """All files of a storage, also those in folders."""
    if isinstance(place, FolderStorage):
        files = (path for path in place.path.rglob("*") if path.is_file())
        return sorted(path.relative_to(place.path).as_posix() for path in files)
    system, root = FileSystem.from_uri(place.address)
    below = FileSelector(root, recursive=True, allow_not_found=True)
    found = (entry.path for entry in system.get_file_info(below) if entry.is_file)
    return sorted(path.removeprefix(f"{root}/") for path in found)
