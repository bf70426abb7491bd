"""S3 test server, and listing of a storage's files."""

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
def s3_server_at(host: str, open_requests: int | None = None) -> Iterator[str]:
    """Run an S3 server with a bucket `runs`; yield its host and port.

    Args:
        host: address to listen on.
        open_requests: number of requests accepted without credentials, including the creation of
            the bucket; None: all.
    """
    address = f"{host}:{free_port(host)}"
    command = [sys.executable, "-m", "moto.server", "-H", host, "-p", address.split(":")[1]]
    environment = os.environ | CREDENTIALS
    if open_requests is not None:
        environment |= {"INITIAL_NO_AUTH_ACTION_COUNT": str(open_requests)}
    null = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=null, stderr=null, env=environment) as server:
        try:
            while True:
                assert server.poll() is None, "the server died"
                try:
                    bucket = urllib.request.Request(f"http://{address}/runs", method="PUT")
                    urllib.request.urlopen(bucket, timeout=5).close()
                    break
                except urllib.error.URLError:
                    time.sleep(0.1)
            yield address
        finally:
            server.kill()


def list_files(storage: Storage) -> list[str]:
    """Return all files of a storage, including those in subfolders."""
    if isinstance(storage, FolderStorage):
        files = (path for path in storage.path.rglob("*") if path.is_file())
        return sorted(path.relative_to(storage.path).as_posix() for path in files)
    system, root = FileSystem.from_uri(storage.uri)
    selector = FileSelector(root, recursive=True, allow_not_found=True)
    found = (entry.path for entry in system.get_file_info(selector) if entry.is_file)
    return sorted(path.removeprefix(f"{root}/") for path in found)
