"""Sync of a search's folder with its copy in shared storage: push while it runs, pull to resume.

A search runs in, and is read from, its results folder. The copy in the storage has a manifest
(``manifest.json``) with a version that changes at every push; the folder remembers the version last
synced. So each side knows whether the other is ahead, and diverged copies raise an error instead of
overwriting each other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from handsigns.errors import ResultsError
from handsigns.host import describe_process, is_local_process
from handsigns.io.atomic import atomic_write, staged_folder
from handsigns.io.digest import digest
from handsigns.io.json_file import write_json
from handsigns.io.lock import wait_for_lock
from handsigns.io.storage import Storage
from handsigns.results.paths import SearchPaths
from handsigns.results.sync_manifest import Manifest, can_fast_forward, is_synced, parse_manifest

_MANIFEST = "manifest.json"
LEASE_S = 300.0
"""Lease timeout: a driver that has not written for longer is considered dead."""


class RemoteCopy:
    """Copy of a search's folder in shared storage.

    Args:
        paths: paths of the local folder.
        storage: location of the copy.
    """

    def __init__(self, paths: SearchPaths, storage: Storage) -> None:
        self._paths = paths
        self._storage = storage
        self._this_process = describe_process()
        self._digest_cache: dict[str, tuple[tuple[int, int], str]] = {}
        """Modification time (ns), size (bytes) and digest of each file when last read."""

    @property
    def storage(self) -> Storage:
        """Location of the copy."""
        return self._storage

    def ensure_name_free(self) -> None:
        """Check that the storage has no search of this name.

        Raises:
            ResultsError: it has one.
            OSError: the storage cannot be read.
        """
        self._storage.check_reachable()
        if self._read_manifest() is not None:
            raise ResultsError(
                f"{self._storage} already exists; resume it "
                f"({self._paths.command('resume', '--storage', '…')}) or choose another name "
                f"(--name)"
            )

    def pull(self) -> bool:
        """Update the folder from the copy if that is newer; return whether it was.

        Raises:
            ResultsError: the copy does not exist or is damaged, or folder and copy diverged.
            OSError: the storage cannot be read, or the folder cannot be written.
        """
        self._storage.check_reachable()
        remote = self._read_manifest()
        if remote is None:
            if self._paths.search_config.is_file():
                return False
            raise ResultsError(f"no search named {self._paths.name} in {self._storage}")
        if self._is_up_to_date(remote):
            return False
        if not self._paths.root.exists():
            self._pull_all(remote)
            return True
        with self._pull_lock():
            return self._pull_changes()

    def _pull_changes(self) -> bool:
        remote, last_synced = self._read_manifest(), self._last_synced()
        if remote is None or self._is_up_to_date(remote):  # another process has pulled it
            return False
        if last_synced is None or not can_fast_forward(
            self._digests(), last_synced.files, remote.files
        ):
            raise self._conflict_error(remote)
        self._pull_into(self._paths.root, remote, last_synced.files)
        for name in last_synced.files.keys() - remote.files.keys():
            (self._paths.root / name).unlink(missing_ok=True)
        return True

    def _is_up_to_date(self, remote: Manifest) -> bool:
        """Return whether the copy has nothing new."""
        last_synced = self._last_synced()
        return last_synced is not None and remote.version in (
            last_synced.version,
            last_synced.previous_version,
        )

    @contextlib.contextmanager
    def _pull_lock(self) -> Iterator[None]:
        """Wait for other processes that pull into the folder."""
        with wait_for_lock(self._paths.root / ".storage.lock"):
            yield

    def push(self, *, running: bool = False) -> None:
        """Update the copy from the folder if that is newer.

        Args:
            running: whether this process runs the search; takes or renews the lease.

        Raises:
            ResultsError: folder and copy diverged, or another machine runs the search.
            OSError: the storage cannot be written.
        """
        remote, last_synced, files = self._read_manifest(), self._last_synced(), self._digests()
        if (
            remote is not None
            and last_synced is not None
            and not running
            and not self._has_lease(remote)
            and remote.version != last_synced.previous_version
            and files == last_synced.files
        ):
            return  # nothing to push, whatever the copy holds
        if remote is not None and not self._is_up_to_date(remote):
            raise self._conflict_error(remote)
        self._check_lease(remote)
        self._storage.create()
        listed = remote.files if remote else {}
        before = listed
        if remote is not None and remote.files_may_be_newer and not self._has_lease(remote):
            before = {}  # whatever another process wrote after its manifest is replaced
        elif remote is not None and not remote.files_may_be_newer and files != before:
            self._write_manifest(dataclasses.replace(remote, incomplete=True))
        for name in files:
            if files[name] != before.get(name):
                # The file may have grown since it was hashed.
                data = (self._paths.root / name).read_bytes()
                files[name] = digest(data)
                self._storage.write(name, data)
        manifest = Manifest(
            storage=self._storage.uri,
            version=secrets.token_hex(8),
            previous_version=remote.version if remote else "",
            files=files,
            written_by=self._this_process,
            running=running,
            written_at=time.time(),
        )
        # Locally first: if interrupted in between, previous_version still matches the copy. Its
        # files are only synced once the manifest is written: until then they are local changes.
        self._save_sync_state(self._paths.root, dataclasses.replace(manifest, files=listed))
        self._write_manifest(manifest)
        for name in listed.keys() - files.keys():
            self._storage.remove(name)
        self._save_sync_state(self._paths.root, manifest)

    def ensure_not_running(self) -> None:
        """Check that no other machine runs the search.

        Raises:
            ResultsError: another machine does.
            OSError: the storage cannot be read.
        """
        self._check_lease(self._read_manifest())

    def _has_lease(self, remote: Manifest) -> bool:
        return remote.running and remote.written_by == self._this_process

    def _check_lease(self, remote: Manifest | None) -> None:
        if remote is None or not remote.running or self._has_lease(remote):
            return
        silence = time.time() - remote.written_at
        # For local processes the folder's lock decides.
        if silence < LEASE_S and not is_local_process(remote.written_by):
            raise ResultsError(
                f"{self._paths.name} is being run by {remote.written_by}, which wrote to "
                f"{self._storage} {silence:.0f} seconds ago; wait for it or, if it is dead, retry "
                f"in {LEASE_S - silence:.0f} seconds"
            )

    def _conflict_error(self, remote: Manifest) -> ResultsError:
        return ResultsError(
            f"{self._paths.root} and {self._storage} have diverged: each has changes that the "
            f"other lacks ({remote.written_by} wrote the latter). Keep the local copy by moving it "
            f"away, then run this again to fetch the other: mv {self._paths.root} "
            f"{self._paths.root}-local"
        )

    def _write_manifest(self, manifest: Manifest) -> None:
        self._storage.write(_MANIFEST, json.dumps(dataclasses.asdict(manifest)).encode())

    def _read_manifest(self) -> Manifest | None:
        try:
            return parse_manifest(self._storage.read(_MANIFEST))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ResultsError(f"{self._storage}/{_MANIFEST} is damaged: {error}") from error

    def _last_synced(self) -> Manifest | None:
        try:
            return parse_manifest(self._paths.sync_state.read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def _digests(self) -> dict[str, str]:
        found = {}
        for path in sorted(self._paths.root.rglob("*")):
            name = path.relative_to(self._paths.root).as_posix()
            if not is_synced(name) or not path.is_file():
                continue
            with contextlib.suppress(FileNotFoundError):  # tables are replaced meanwhile
                stat = path.stat()
                state = (stat.st_mtime_ns, stat.st_size)
                if self._digest_cache.get(name, (None,))[0] != state:
                    self._digest_cache[name] = (state, digest(path.read_bytes()))
                found[name] = self._digest_cache[name][1]
        return found

    def _pull_all(self, remote: Manifest) -> None:
        """Create the folder from the copy atomically."""
        with staged_folder(self._paths.root) as folder:
            self._pull_into(folder, remote, {})

    def _pull_into(self, folder: Path, remote: Manifest, local: Mapping[str, str]) -> None:
        digests = dict(remote.files)
        # Read everything before the first write: a lost connection then changes nothing here.
        changed = {n: self._storage.read(n) for n, it in remote.files.items() if it != local.get(n)}
        for name, data in changed.items():
            digests[name] = digest(data)
            if digests[name] != remote.files[name] and not remote.files_may_be_newer:
                raise ResultsError(f"{self._storage}/{name} is damaged: digest mismatch")
        for name, data in changed.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as temporary:
                temporary.write_bytes(data)
        # Other machines may reach the storage by another address, or record a false one.
        local_manifest = dataclasses.replace(remote, files=digests, storage=self._storage.uri)
        self._save_sync_state(folder, local_manifest)

    @staticmethod
    def _save_sync_state(folder: Path, manifest: Manifest) -> None:
        write_json(SearchPaths(folder).sync_state, dataclasses.asdict(manifest))
