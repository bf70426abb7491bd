"""A search's files as a whole: begun once, opened by name ever after, held by one process."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from pydantic import TypeAdapter

from handsigns.config.load import dump_study, load_study
from handsigns.config.own_code import OwnCode, keep
from handsigns.config.study import StudyConfig
from handsigns.data.splits import DataInfo
from handsigns.errors import ResultsError
from handsigns.files import write_json, write_text
from handsigns.search.environment import describe_environment
from handsigns.search.journal import Journal
from handsigns.search.mirror import run_elsewhere
from handsigns.search.paths import RepeatPaths, SearchPaths
from handsigns.search.record import TrialRecord, rank
from handsigns.search.repeats import Finalist, RepeatPlan, finalists
from handsigns.search.warm_start import WarmStart, write_warm_start
from handsigns.text import printable

_LOOKS, _LOOK_SECONDS = 5, 0.05
"""How often a lock is tried for, and how long between: a look at it lasts far shorter."""


@dataclass(frozen=True)
class DataRecord:
    """Which data a search used, so that they can be opened again and known to be the same.

    Attributes:
        info: counts, classes, fingerprint.
        folder: where they are; None for the drawn hands.
        size: height and width asked for, in pixels.
        skip_bad: whether bad files were passed over.
    """

    info: DataInfo
    folder: str | None
    size: int
    skip_bad: bool


@dataclass(frozen=True)
class StoredSearch:
    """A search as its files tell it."""

    paths: SearchPaths
    study: StudyConfig
    data: DataRecord
    journal: Journal

    @property
    def ranked(self) -> list[TrialRecord]:
        """The trials, best first."""
        return rank(self.journal.records, self.study.objective)

    @functools.cached_property
    def repeats(self) -> Journal:
        """What was recorded as its best trials were trained again; empty where they were not."""
        return Journal(self.paths.repeats.journal, self.study.seed)

    @functools.cached_property
    def finalists(self) -> list[Finalist]:
        """Its best trials that were trained again, best first; none where that was not done, or on
        other pictures.

        Raises:
            ResultsError: what was recorded of that is damaged.
        """
        plan, sessions = _read_plan(self.paths.repeats), self.repeats.sessions
        if plan is None or not sessions:
            return []
        if sessions[-1].fingerprint != self.data.info.fingerprint:
            return []
        metric = self.study.objective.metric
        return finalists(plan, self.journal.records, self.repeats.records, metric)

    @property
    def best(self) -> TrialRecord | None:
        """The first of the leaderboard; None where no trial has a result."""
        return next((record for record in self.ranked if record.has_result), None)

    @property
    def winner(self) -> TrialRecord | None:
        """The best of those that were trained again, else of all; None where none has a result."""
        steady = (finalist.record for finalist in self.finalists if finalist.steady)
        return next(steady, None) or self.best

    def trial(self, trial_id: str | None) -> TrialRecord:
        """The trial of that id; None means the winner.

        Raises:
            ResultsError: there is no such trial, or no trial has a result yet.
        """
        ranked = self.ranked
        if trial_id is None:
            winner = self.winner
            if winner is None:
                raise ResultsError(
                    f"no trial of {self.paths.name} has a result; see the reasons in "
                    f"{self.paths.trials}"
                )
            return winner
        for record in ranked:
            if record.trial_id == trial_id.zfill(4):
                return record
        known = f"0000 to {len(ranked) - 1:04d}" if ranked else "no trial yet"
        raise ResultsError(f"no trial {trial_id} in {self.paths.name}; there are {known}")

    def recorded(self, name: str) -> tuple[TrialRecord, Journal]:
        """A trial by its id, or a repeat by its name, and the journal in which it stands.

        Raises:
            ResultsError: there is no such trial or repeat.
        """
        for record in self.repeats.records:
            if record.trial_id == name:
                return record, self.repeats
        return self.trial(name), self.journal


def _read_plan(paths: RepeatPaths) -> RepeatPlan | None:
    """What was asked to be trained again last; None where nothing was.

    Raises:
        ResultsError: it is damaged.
    """
    try:
        return TypeAdapter(RepeatPlan).validate_json(paths.plan.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"{paths.plan} is damaged ({error}); to have it made anew: {paths.go_on}"
        ) from error


def refuse_taken(paths: SearchPaths) -> None:
    """See that a name is free for a new search.

    Raises:
        ResultsError: it is not; tells whether that search is running.
    """
    if not paths.root.exists():
        return
    running = holder(paths)
    if running:
        raise ResultsError(
            f"{paths.name} is being run by {running}; choose another name for a search beside it "
            f"(--name)"
        )
    raise ResultsError(
        f"{paths.root} exists already; go on with it (tune_main.py resume {paths.name}) or choose "
        f"another name (--name)"
    )


def begin_search(
    paths: SearchPaths,
    study: StudyConfig,
    data: DataRecord,
    warm_start: WarmStart | None = None,
    own: OwnCode | None = None,
) -> StoredSearch:
    """Make the folder of a new search, whole or not at all.

    Raises:
        ResultsError: the name is taken, or the folder cannot be written.
    """
    refuse_taken(paths)
    fresh = SearchPaths(paths.root.with_name(f".{paths.name}.{os.getpid()}.tmp"))
    try:
        fresh.root.mkdir(parents=True)
        write_text(fresh.study, dump_study(study))
        write_json(fresh.data, dataclasses.asdict(data))
        write_json(fresh.environment, describe_environment(own))
        keep(fresh.own_code, own)
        if warm_start is not None:
            write_warm_start(fresh.warm_start, warm_start)
        fresh.checkpoints.mkdir()
        fresh.root.rename(paths.root)
    except OSError as error:
        refuse_taken(paths)
        raise ResultsError(f"{paths.root} cannot be written: {error}") from error
    finally:
        shutil.rmtree(fresh.root, ignore_errors=True)
    return StoredSearch(paths, study, data, Journal(paths.journal, study.seed))


def record_data(stored: StoredSearch, info: DataInfo, moved: Path | None) -> None:
    """Record where the data of a search are now, and what they are, if either has changed."""
    folder = str(moved.resolve()) if moved else stored.data.folder
    now = dataclasses.replace(stored.data, info=info, folder=folder)
    if (now.folder, info.fingerprint) != (stored.data.folder, stored.data.info.fingerprint):
        write_json(stored.paths.data, dataclasses.asdict(now))


def discard(paths: SearchPaths) -> None:
    """Remove a search that could not begin; one with a trial in its journal stays."""
    if not paths.journal.exists() or not paths.journal.read_bytes():
        shutil.rmtree(paths.root, ignore_errors=True)


def open_search(paths: SearchPaths) -> StoredSearch:
    """Read a search that was begun.

    Raises:
        ResultsError: its files are damaged.
        ConfigError: its study file was edited and is no longer valid.
    """
    study = load_study(paths.study)
    try:
        fields: dict[str, Any] = json.loads(paths.data.read_text(encoding="utf-8"))
        data = DataRecord(info=DataInfo.from_json(fields.pop("info")), **fields)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ResultsError(f"{paths.data} is damaged ({error}); restore it from a copy") from error
    return StoredSearch(paths, study, data, Journal(paths.journal, study.seed))


@contextlib.contextmanager
def held(paths: SearchPaths) -> Iterator[None]:
    """Hold a search for this process; the hold ends with the process, however it ends.

    Raises:
        ResultsError: another process holds it, or its folder cannot be written.
    """
    try:
        file = paths.lock.open("a+", encoding="utf-8")
    except OSError as error:
        raise ResultsError(
            f"{paths.root} cannot be written: {error.strerror}; make it writable, or copy it to a "
            f"place that is (and name that with --results)"
        ) from error
    with file:
        if not _lock_soon(file):
            raise ResultsError(
                f"{paths.name} is being run by {holder(paths)}; wait for it, or choose another "
                f"--name"
            )
        with contextlib.suppress(OSError):  # who holds it matters to others alone
            file.truncate(0)
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}")
            file.flush()
        yield


def _lock_soon(file: TextIO) -> bool:
    """Lock a file, although someone may just be looking whether it is."""
    for _ in range(_LOOKS):
        if _lock(file, fcntl.LOCK_EX):
            return True
        time.sleep(_LOOK_SECONDS)
    return False


def _lock(file: TextIO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def holder(paths: SearchPaths) -> str:
    """Who runs a search, in words; empty where no one does."""
    # Who looks shares the lock, so that two who look do not take each other for the holder.
    with contextlib.suppress(OSError), paths.lock.open(encoding="utf-8") as file:
        if not _lock(file, fcntl.LOCK_SH):
            return printable(file.read(200)) or "another process"
    return run_elsewhere(paths)
