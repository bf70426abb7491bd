"""A search's files in its storage: copied there while it runs, brought here to be gone on with.

The results folder is where a search is run and read; a copy of it lies in the storage, which has a
listing of it (``files.json``). Each change of the copy has a version of its own, and the folder
remembers the one it was like last. So it is known which of the two is ahead, and that both were
changed, which is told instead of one being lost.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from handsigns.config.search import StudyConfig
from handsigns.console.sanitize import printable
from handsigns.errors import ResultsError
from handsigns.host import is_of_this_host, this_process
from handsigns.io.atomic import replacing, staged_folder
from handsigns.io.digest import digest
from handsigns.io.json_file import write_json
from handsigns.io.lock import wait_for
from handsigns.io.storage import FolderStorage, Storage, open_storage
from handsigns.results.paths import SearchPaths
from handsigns.results.sync_listing import Listing, follows, is_copied, read_listing

_LISTING = "files.json"
LEASE_S = 300.0
"""Lease timeout: a driver that has not written for longer is considered dead."""


class Mirror:
    """The copy of one search's folder.

    Args:
        paths: the folder.
        place: of the copy.
    """

    def __init__(self, paths: SearchPaths, place: Storage) -> None:
        self._paths = paths
        self._place = place
        self._me = this_process()
        self._known: dict[str, tuple[tuple[int, int], str]] = {}
        """State (time of change, bytes) and digest of each file, as it was read last."""

    @property
    def place(self) -> Storage:
        """Where the copy lies."""
        return self._place

    def refuse_taken(self) -> None:
        """See that the name is free there for a new search.

        Raises:
            ResultsError: it is not.
            OSError: the storage cannot be read.
        """
        self._place.reach()
        if self._listing() is not None:
            raise ResultsError(
                f"{self._place} exists already; go on with it "
                f"({self._paths.command('resume', '--storage', '…')}) or choose another name "
                f"(--name)"
            )

    def fetch(self) -> bool:
        """Bring here what is newer there; returns whether there was anything.

        Raises:
            ResultsError: there is no such search, both were changed, or the listing is damaged.
            OSError: the storage cannot be read, or the folder cannot be written.
        """
        self._place.reach()
        there = self._listing()
        if there is None:
            if self._paths.study.is_file():
                return False
            raise ResultsError(f"there is no search {self._paths.name} in {self._place}")
        if self._has(there):
            return False
        if not self._paths.root.exists():
            self._fetch_whole(there)
            return True
        with self._alone():
            return self._fetch_changes()

    def _fetch_changes(self) -> bool:
        there, seen = self._listing(), self._seen()
        if there is None or self._has(there):  # another process was faster
            return False
        if seen is None or not follows(self._digests(), seen.files, there.files):
            raise self._both_changed(there)
        self._fetch_into(self._paths.root, there, seen.files)
        for name in seen.files.keys() - there.files.keys():
            (self._paths.root / name).unlink(missing_ok=True)
        return True

    def _has(self, there: Listing) -> bool:
        """Whether nothing is newer there."""
        seen = self._seen()
        return seen is not None and there.version in (seen.version, seen.before)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait for other processes that fetch."""
        with wait_for(self._paths.root / ".storage.lock"):
            yield

    def push(self, *, running: bool = False) -> None:
        """Copy what is newer here.

        Args:
            running: whether the search is being run by this process.

        Raises:
            ResultsError: the copy was changed by another process; or, where the search is to be
                run, it is being run by another.
            OSError: the storage cannot be written.
        """
        there, seen, files = self._listing(), self._seen(), self._digests()
        if there is not None and seen is not None and not running:
            mine = there.running and there.by == self._me
            if not mine and there.version != seen.before and files == seen.files:
                return  # nothing is new here, whatever is there
        if there is not None and not self._has(there):
            raise self._both_changed(there)
        self._refuse_other(there)
        self._place.prepare()
        before = there.files if there else {}
        for name in files:
            if files[name] != before.get(name):
                # What is copied may be newer than what was looked at: it grows.
                data = (self._paths.root / name).read_bytes()
                files[name] = digest(data)
                self._place.write(name, data)
        for name in before.keys() - files.keys():
            self._place.remove(name)
        version = secrets.token_hex(8)
        follows = there.version if there else ""
        listing = Listing(
            self._place.address, version, follows, files, self._me, running, time.time()
        )
        # First here: who is cut off between the two knows the copy by the version before.
        self._remember(self._paths.root, listing)
        self._place.write(_LISTING, json.dumps(dataclasses.asdict(listing)).encode())

    def refuse_running(self) -> None:
        """See that no other machine runs the search.

        Raises:
            ResultsError: one does.
            OSError: the storage cannot be read.
        """
        self._refuse_other(self._listing())

    def _refuse_other(self, there: Listing | None) -> None:
        if there is None or not there.running or there.by == self._me:
            return
        silence = time.time() - there.written_at
        if silence < LEASE_S and not is_of_this_host(there.by):  # where the folder's lock tells
            raise ResultsError(
                f"{self._paths.name} is being run by {there.by}, which wrote to {self._place} "
                f"{silence:.0f} seconds ago; wait for it. If it is dead, try again in "
                f"{LEASE_S - silence:.0f} seconds"
            )

    def _both_changed(self, there: Listing) -> ResultsError:
        return ResultsError(
            f"{self._paths.root} and {self._place} hold different states of {self._paths.name}, "
            f"and each has what the other has not ({there.by} changed it there). Keep the one here "
            f"by moving it away, then run this again to have the other: mv {self._paths.root} "
            f"{self._paths.root}-here"
        )

    def _listing(self) -> Listing | None:
        try:
            return read_listing(self._place.read(_LISTING))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ResultsError(f"{self._place}/{_LISTING} is damaged: {error}") from error

    def _seen(self) -> Listing | None:
        try:
            return read_listing(self._paths.copied.read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def _digests(self) -> dict[str, str]:
        found = {}
        for path in sorted(self._paths.root.rglob("*")):
            name = path.relative_to(self._paths.root).as_posix()
            if not is_copied(name) or not path.is_file():
                continue
            with contextlib.suppress(FileNotFoundError):  # tables are replaced while we look
                stat = path.stat()
                state = (stat.st_mtime_ns, stat.st_size)
                if self._known.get(name, (None,))[0] != state:
                    self._known[name] = (state, digest(path.read_bytes()))
                found[name] = self._known[name][1]
        return found

    def _fetch_whole(self, there: Listing) -> None:
        """A folder that is not here, whole or not at all."""
        with staged_folder(self._paths.root) as fresh:
            self._fetch_into(fresh, there, {})

    def _fetch_into(self, folder: Path, there: Listing, here: Mapping[str, str]) -> None:
        found = dict(there.files)
        # All is read before the first file is written: a line that breaks changes nothing here.
        fresh = {n: self._place.read(n) for n, it in there.files.items() if it != here.get(n)}
        for name, data in fresh.items():
            found[name] = digest(data)
            # While the search runs, a file may be newer than the listing.
            if found[name] != there.files[name] and not there.running:
                raise ResultsError(f"{self._place}/{name} is damaged: its digest does not fit")
        for name, data in fresh.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                temporary.write_bytes(data)
        # Other machines may reach the place by another address, or lie.
        here_it_is = dataclasses.replace(there, files=found, place=self._place.address)
        self._remember(folder, here_it_is)

    @staticmethod
    def _remember(folder: Path, listing: Listing) -> None:
        write_json(SearchPaths(folder).copied, dataclasses.asdict(listing))


def mirror_of(study: StudyConfig, paths: SearchPaths) -> Mirror | None:
    """The copy of a search whose study names a storage outside of its own folder, else None."""
    return None if study.storage is None else named_mirror(paths.whole, study.storage)


def known_mirror(paths: SearchPaths) -> Mirror | None:
    """The copy that a search's folder remembers; None where it has none."""
    try:
        place = read_listing(paths.copied.read_bytes()).place
    except (OSError, ValueError):
        return None
    return _unless_itself(paths, open_storage(place))


def run_elsewhere(paths: SearchPaths) -> str:
    """Which other machine runs a search, as far as is known here, in words; empty where none."""
    try:
        there = read_listing(paths.copied.read_bytes())
        # Not by what the other machine's clock said.
        recent = time.time() - paths.copied.stat().st_mtime < LEASE_S
    except (OSError, ValueError):
        return ""
    return printable(there.by) if there.running and recent and not is_of_this_host(there.by) else ""


def named_mirror(paths: SearchPaths, storage: str) -> Mirror | None:
    """The copy in a storage that the user names."""
    return _unless_itself(paths, open_storage(storage).under(paths.name))


def _unless_itself(paths: SearchPaths, place: Storage) -> Mirror | None:
    if isinstance(place, FolderStorage) and place.path.resolve() == paths.root.resolve():
        return None
    return Mirror(paths, place)
