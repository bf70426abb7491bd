"""A search's files as a whole: begun once, opened by name ever after, held by one process."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from handsigns.config.load import dump_study, load_study
from handsigns.config.search import StudyConfig
from handsigns.config.user_code import OwnCode, keep
from handsigns.console.sanitize import printable
from handsigns.data.splits import DataInfo
from handsigns.errors import ResultsError
from handsigns.io import lock
from handsigns.io.atomic import staged_folder, write_text
from handsigns.io.json_file import damaged, read_json, write_json
from handsigns.io.own_output import make_output_folder
from handsigns.results.environment import describe_environment
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.reevaluation import Finalist, RepeatPlan, finalists, read_plan
from handsigns.results.sync import run_elsewhere
from handsigns.results.trial import TrialRecord, rank
from handsigns.results.warm_start import WarmStart, write_warm_start


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
        return Journal(self.paths.repeats.journal)

    @functools.cached_property
    def repeat_plan(self) -> RepeatPlan | None:
        """The latest plan of a re-evaluation; None where there is none, or on other images.

        Raises:
            ResultsError: it is damaged.
        """
        sessions = self.repeats.sessions
        if sessions and sessions[-1].fingerprint != self.data.info.fingerprint:
            return None
        return read_plan(self.paths.repeats)

    @property
    def plan_finished(self) -> bool:
        """Whether every run of the latest plan has ended."""
        return self.repeat_plan is None or self.repeat_plan.finished(self.repeats.records)

    @functools.cached_property
    def finalists(self) -> list[Finalist]:
        """Its best trials that were trained again, best first; none where that was not done, or on
        other pictures.

        Raises:
            ResultsError: what was recorded of that is damaged.
        """
        plan = self.repeat_plan
        if plan is None or not self.repeats.sessions:
            return []
        return finalists(plan, self.journal.records, self.repeats.records, self.study.objective)

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
                raise ResultsError(f"no trial of {self.paths.name} has a result{self._why_none}")
            return winner
        for record in ranked:
            if record.trial_id == trial_id.zfill(4):
                return record
        known = f"there are 0000 to {len(ranked) - 1:04d}" if ranked else "there is none yet"
        raise ResultsError(f"no trial {trial_id} in {self.paths.name}; {known}")

    @property
    def _why_none(self) -> str:
        if any(record.ended for record in self.journal.records):
            return f"; see the reasons in {self.paths.trials}"
        return " yet" + ("" if holder(self.paths) else f"; resume it: {self.paths.go_on}")

    def recorded(self, name: str) -> tuple[TrialRecord, Journal]:
        """A trial by its id, or a repeat by its name, and the journal in which it stands.

        Raises:
            ResultsError: there is no such trial or repeat.
        """
        for record in self.repeats.records:
            if record.trial_id == name:
                return record, self.repeats
        return self.trial(name), self.journal


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
        f"{paths.root} exists already; go on with it ({paths.go_on}) or choose another name "
        f"(--name)"
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
    try:
        make_output_folder(paths.root.parent)
        with staged_folder(paths.root) as folder:
            fresh = SearchPaths(folder)
            write_text(fresh.study, dump_study(study))
            write_json(fresh.data, dataclasses.asdict(data))
            write_json(fresh.environment, describe_environment(own))
            keep(fresh.own_code, own)
            if warm_start is not None:
                write_warm_start(fresh.warm_start, warm_start)
            fresh.checkpoints.mkdir()
    except OSError as error:
        refuse_taken(paths)
        raise ResultsError(f"{paths.root} cannot be written: {error}") from error
    return StoredSearch(paths, study, data, Journal(paths.journal))


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
        data = read_json(paths.data, DataRecord)
    except FileNotFoundError as error:
        raise damaged(paths.data, error) from error
    return StoredSearch(paths, study, data, Journal(paths.journal))


@contextlib.contextmanager
def held(paths: SearchPaths) -> Iterator[None]:
    """Hold a search for this process; the hold ends with the process, however it ends.

    Raises:
        ResultsError: another process holds it, or its folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock.hold(paths.lock))
        except lock.LockedError as error:
            raise ResultsError(
                f"{paths.name} is being run by {printable(str(error))}; wait for it, or choose "
                f"another --name"
            ) from error
        except OSError as error:
            raise ResultsError(
                f"{paths.root} cannot be written: {error.strerror}; make it writable, or copy it "
                f"to a place that is (and name that with --results)"
            ) from error
        yield


def holder(paths: SearchPaths) -> str:
    """Who runs a search, in words; empty where no one does."""
    return printable(lock.holder(paths.lock)) or run_elsewhere(paths)
