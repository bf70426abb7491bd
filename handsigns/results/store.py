"""Stored search: its folder, created once and opened by name."""

from __future__ import annotations

import dataclasses
import functools
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from handsigns.config.load import dump_search_config, load_search_config
from handsigns.config.search import SearchConfig
from handsigns.config.user_code import UserCode, save_user_code
from handsigns.data.correction import Correction
from handsigns.data.findings import DataCheck
from handsigns.data.folders import absolute_path
from handsigns.data.splits import DataInfo
from handsigns.errors import ResultsError
from handsigns.io.atomic import staged_folder, write_text
from handsigns.io.json_file import corrupt_file_error, read_json, write_json
from handsigns.io.output_marker import make_output_folder
from handsigns.results.environment import describe_environment
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.reevaluation import (
    ReevaluatedTrial,
    ReevaluationPlan,
    read_plan,
    reevaluated_trials,
)
from handsigns.results.search_lock import lock_owner
from handsigns.results.trial import TrialRecord, rank
from handsigns.results.warm_start import WarmStart, write_warm_start


@dataclass(frozen=True)
class DataRecord:
    """Data set of a search: enough to reopen it and verify that it is unchanged.

    Attributes:
        info: counts, classes, fingerprint.
        folder: folder of the images; None for the synthetic hands.
        size: requested height and width in pixels.
        skip_bad: whether unusable files were skipped.
        corrections: corrections of labels, which `info` includes.
    """

    info: DataInfo
    folder: str | None
    size: int
    skip_bad: bool
    corrections: tuple[Correction, ...] = ()


@dataclass(frozen=True)
class StoredSearch:
    """Search as read from its files."""

    paths: SearchPaths
    config: SearchConfig
    data: DataRecord
    journal: Journal

    @property
    def ranked(self) -> list[TrialRecord]:
        """All trials, best first."""
        return rank(self.journal.records, self.config.objective)

    @functools.cached_property
    def reevaluation_journal(self) -> Journal:
        """Journal of the re-evaluation; empty if there was none."""
        return Journal(self.paths.reevaluation.journal)

    @functools.cached_property
    def reevaluation_plan(self) -> ReevaluationPlan | None:
        """Latest plan of the re-evaluation; None if there is none, or its data differ.

        Raises:
            ResultsError: the plan or its journal is damaged.
        """
        sessions = self.reevaluation_journal.sessions
        if sessions and sessions[-1].fingerprint != self.data.info.fingerprint:
            return None
        return read_plan(self.paths.reevaluation)

    @property
    def reevaluation_finished(self) -> bool:
        """Whether every run of the latest plan has ended."""
        return self.reevaluation_plan is None or self.reevaluation_plan.finished(
            self.reevaluation_journal.records
        )

    @functools.cached_property
    def reevaluated_trials(self) -> list[ReevaluatedTrial]:
        """Re-evaluated trials, best first; none without a re-evaluation on the same data.

        Raises:
            ResultsError: the plan or its journal is damaged.
        """
        plan = self.reevaluation_plan
        if plan is None or not self.reevaluation_journal.sessions:
            return []
        return reevaluated_trials(
            plan, self.journal.records, self.reevaluation_journal.records, self.config.objective
        )

    @property
    def best(self) -> TrialRecord | None:
        """First trial of the leaderboard; None if no trial has a result."""
        return next((record for record in self.ranked if record.has_result), None)

    @property
    def winner(self) -> TrialRecord | None:
        """Best re-evaluated trial, else best of all; None if no trial has a result."""
        completed = (
            reevaluated.record
            for reevaluated in self.reevaluated_trials
            if reevaluated.all_completed
        )
        return next(completed, None) or self.best

    def trial(self, trial_id: str | None) -> TrialRecord:
        """Return the trial with that ID; None means the winner.

        Raises:
            ResultsError: there is no such trial, or no trial has a result yet.
        """
        ranked = self.ranked
        if trial_id is None:
            winner = self.winner
            if winner is None:
                raise ResultsError(
                    f"no trial of {self.paths.name} has a result{self._no_result_reason}"
                )
            return winner
        for record in ranked:
            if trial_id and record.trial_id == trial_id.zfill(4):
                return record
        known = f"trials are 0000 to {len(ranked) - 1:04d}" if ranked else "it has no trials yet"
        raise ResultsError(f"no trial {shlex.quote(trial_id)} in {self.paths.name}; {known}")

    @property
    def _no_result_reason(self) -> str:
        if any(record.is_terminal for record in self.journal.records):
            return f"; see the reasons in {self.paths.trials}"
        return " yet" + (
            "" if lock_owner(self.paths) else f"; resume it: {self.paths.resume_command}"
        )

    def find_record(self, name: str) -> tuple[TrialRecord, Journal]:
        """Return a trial or re-evaluation run by its ID, and the journal that holds it.

        Raises:
            ResultsError: there is no such trial or run.
        """
        for record in self.reevaluation_journal.records:
            if record.trial_id == name:
                return record, self.reevaluation_journal
        return self.trial(name), self.journal


def ensure_folder_free(paths: SearchPaths) -> None:
    """Check that a name is free for a new search.

    Raises:
        ResultsError: it is taken; the message says whether that search is running.
    """
    if not paths.root.exists():
        return
    running = lock_owner(paths)
    if running:
        raise ResultsError(
            f"{paths.name} is being run by {running}; choose another name for a second search "
            f"(--name)"
        )
    raise ResultsError(
        f"{paths.root} already exists; resume it ({paths.resume_command}) or choose another name "
        f"(--name)"
    )


def create_search(
    paths: SearchPaths,
    search_config: SearchConfig,
    data: DataRecord,
    warm_start: WarmStart | None = None,
    user_code: UserCode | None = None,
    check: DataCheck | None = None,
) -> StoredSearch:
    """Create the folder of a new search atomically.

    Raises:
        ResultsError: the name is taken, or the folder cannot be written.
    """
    ensure_folder_free(paths)
    try:
        make_output_folder(paths.root.parent)
        with staged_folder(paths.root) as folder:
            staged = SearchPaths(folder)
            write_text(staged.search_config, dump_search_config(search_config))
            write_json(staged.data, dataclasses.asdict(data))
            if check is not None:
                write_json(staged.data_check, dataclasses.asdict(check))
            write_json(staged.environment, describe_environment(user_code))
            save_user_code(staged.user_code, user_code)
            if warm_start is not None:
                write_warm_start(staged.warm_start, warm_start)
            staged.checkpoints.mkdir()
    except OSError as error:
        ensure_folder_free(paths)
        raise ResultsError(f"{paths.root} cannot be written: {error}") from error
    return StoredSearch(paths, search_config, data, Journal(paths.journal))


def read_data_check(stored: StoredSearch) -> DataCheck | None:
    """Read the check of the search's images; None if there is none, or of others.

    Raises:
        ResultsError: it is damaged.
    """
    try:
        check = read_json(stored.paths.data_check, DataCheck)
    except FileNotFoundError:
        return None
    return check if check.fingerprint == stored.data.info.fingerprint else None


def update_data_record(stored: StoredSearch, info: DataInfo, data_folder: Path | None) -> None:
    """Update the recorded data set of a search if its folder or content has changed."""
    folder = str(absolute_path(data_folder)) if data_folder else stored.data.folder
    updated = dataclasses.replace(stored.data, info=info, folder=folder)
    if (updated.folder, info.fingerprint) != (stored.data.folder, stored.data.info.fingerprint):
        write_json(stored.paths.data, dataclasses.asdict(updated))


def discard_unstarted(paths: SearchPaths) -> None:
    """Remove a search that failed to start; one with events in its journal stays."""
    if not paths.journal.exists() or not paths.journal.read_bytes():
        shutil.rmtree(paths.root, ignore_errors=True)


def open_search(paths: SearchPaths) -> StoredSearch:
    """Open an existing search.

    Raises:
        ResultsError: its files are damaged.
        ConfigError: its search.yaml was edited and is no longer valid.
    """
    search_config = load_search_config(paths.search_config)
    try:
        data = read_json(paths.data, DataRecord)
    except FileNotFoundError as error:
        raise corrupt_file_error(paths.data, error) from error
    return StoredSearch(paths, search_config, data, Journal(paths.journal))
