"""Tracker for Optuna: a study in a file, for `optuna.load_study` and optuna-dashboard.

It mirrors the journal and is written by this process alone; the sampler has its own study
(`policy.sampler`). The file is in the format of Optuna's JournalStorage, lines of JSON: an
operation takes a tenth of the time that it takes in SQLite, and nothing in it is ever unpickled.
Lines are written in batches; a truncated file, or one that disagrees with the journal, is
recreated.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import (
    BaseJournalBackend,
    JournalFileBackend,
    JournalFileSymlinkLock,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from handsigns.config.hyperparameters import Scalar
from handsigns.config.parameters import Fixed
from handsigns.io.atomic import atomic_write
from handsigns.policy.optuna_space import to_distribution
from handsigns.results.trial import Status, TrialRecord
from handsigns.tracking.base import TrackedSearch, trial_attributes

_LOCK_GRACE_PERIOD_S = 3
"""Age at which a lock on the file counts as stale; Optuna advises against less."""
_STATES: dict[Status, TrialState] = {
    "running": TrialState.RUNNING,
    "paused": TrialState.RUNNING,  # it can be promoted
    "interrupted": TrialState.RUNNING,  # it can be resumed
    "completed": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass
class _SyncedTrial:
    """State of a trial in the file."""

    optuna_trial_id: int
    epochs: int
    user_attrs: dict[str, Any]
    is_terminal: bool


class OptunaStudy:
    """Tracker that mirrors the journal as a study; see `Tracker`."""

    name = "optuna"

    def __init__(self, search: TrackedSearch, path: Path | None = None) -> None:
        """Mirror the search in its default file, or in another one at `path`."""
        self._search = search
        self._path = path or search.paths.optuna_journal
        self._trials: dict[str, _SyncedTrial] = {}

    def open(self, records: Sequence[TrialRecord]) -> None:
        """Continue the file if it is intact and agrees with the records, or recreate it."""
        if not self._resume(records):
            self._create()

    def update(self, record: TrialRecord) -> None:
        """Write what is new in a trial."""
        known = self._trials.get(record.trial_id)
        if known is None:
            self._create_trial(record)
        elif not known.is_terminal:
            self._update_trial(known, record)

    def flush(self) -> None:
        """Write the updates so far."""
        self._backend.flush()

    def close(self, records: Sequence[TrialRecord]) -> None:
        """Write the last updates."""
        self.flush()

    def _create(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._backend = _BufferedJournalBackend(self._path, overwrite=True)
        self._storage = JournalStorage(self._backend)
        objective = self._search.config.objective
        direction = StudyDirection.MINIMIZE if objective.minimize else StudyDirection.MAXIMIZE
        self._study = self._storage.create_new_study([direction], self._search.name)
        # As Study.set_metric_names does, which warns that it is experimental.
        self._storage.set_study_system_attr(self._study, "study:metric_names", [objective.metric])
        self._trials = {}

    def _resume(self, records: Sequence[TrialRecord]) -> bool:
        try:
            if not self._path.read_bytes().endswith(b"\n"):
                return False
            self._backend = _BufferedJournalBackend(self._path)
            self._storage = JournalStorage(self._backend)
            self._study = self._storage.get_study_id_from_name(self._search.name)
            trials = self._storage.get_all_trials(self._study, deepcopy=False)
        except Exception:  # no file, or damage of whatever kind
            return False
        by_number = {int(record.trial_id): record for record in records}
        for trial in trials:
            record = by_number.get(trial.number)
            if record is None or not self._matches_record(trial, record):
                return False
            self._trials[record.trial_id] = _SyncedTrial(
                trial._trial_id,
                len(trial.intermediate_values),
                dict(trial.user_attrs),
                trial.state.is_finished(),
            )
        return True

    def _matches_record(self, trial: FrozenTrial, record: TrialRecord) -> bool:
        values = self._intermediate_values(record)
        return (
            trial.user_attrs.get("trial_id") == record.trial_id
            and trial.params == self._searched_params(record)
            and trial.intermediate_values.items() <= values.items()
            and (
                not trial.state.is_finished()
                or (trial.state == _STATES[record.status] and trial.intermediate_values == values)
            )
        )

    def _create_trial(self, record: TrialRecord) -> None:
        params = self._searched_params(record)
        trial = optuna.trial.create_trial(
            state=_STATES[record.status],
            params=params,
            distributions={
                name: to_distribution(self._search.config.space[name]) for name in params
            },
            value=self._final_value(record),
            user_attrs=trial_attributes(record),
            intermediate_values=self._intermediate_values(record),
        )
        trial.datetime_start = datetime.fromtimestamp(record.started_at)
        if record.is_terminal and record.ended_at is not None:
            trial.datetime_complete = datetime.fromtimestamp(record.ended_at)
        number = self._storage.create_new_trial(self._study, trial)
        self._trials[record.trial_id] = _SyncedTrial(
            number, len(record.epochs), trial.user_attrs, record.is_terminal
        )

    def _update_trial(self, known: _SyncedTrial, record: TrialRecord) -> None:
        for epoch, value in list(self._intermediate_values(record).items())[known.epochs :]:
            self._storage.set_trial_intermediate_value(known.optuna_trial_id, epoch, value)
        attributes = trial_attributes(record)
        for name, now in attributes.items():
            if known.user_attrs.get(name) != now:
                self._storage.set_trial_user_attr(known.optuna_trial_id, name, now)
        if record.is_terminal:
            final = self._final_value(record)
            state = _STATES[record.status]
            values = None if final is None else [final]
            self._storage.set_trial_state_values(known.optuna_trial_id, state, values)
        known.epochs, known.user_attrs, known.is_terminal = (
            len(record.epochs),
            attributes,
            record.is_terminal,
        )

    def _searched_params(self, record: TrialRecord) -> dict[str, Scalar]:
        space = self._search.config.space
        return {n: v for n, v in record.params.items() if not isinstance(space[n], Fixed)}

    def _intermediate_values(self, record: TrialRecord) -> dict[int, float]:
        objective = self._search.config.objective
        return {metrics.epoch: objective.value_of(metrics) for metrics in record.epochs}

    def _final_value(self, record: TrialRecord) -> float | None:
        """Return the value of a trial as `Study.tell` would set it; None if it has none."""
        if record.status not in ("completed", "stopped") or not record.epochs:
            return None
        return list(self._intermediate_values(record).values())[-1]


class _BufferedJournalBackend(BaseJournalBackend):  # type: ignore[misc]
    """Backend on Optuna's journal file that writes new operations in one batch at each `flush`.

    Args:
        path: path of the file.
        overwrite: replace an earlier file, at the first `flush`.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self._path = path
        self._overwrite = overwrite
        # For Optuna's storage: the operations in the file, then those it appends itself.
        self._unread = [] if overwrite else list(JournalFileBackend(str(path)).read_logs(0))
        self._unwritten: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Return the operations since the last call, as only one `JournalStorage` reads them."""
        unread, self._unread = self._unread, []
        return iter(unread)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Keep operations until the next flush."""
        self._unread += [json.loads(json.dumps(log)) for log in logs]
        self._unwritten += logs

    def flush(self) -> None:
        """Write the operations under Optuna's lock, as a dashboard may append users' notes."""
        if not self._unwritten:
            return
        if self._overwrite:
            with atomic_write(self._path) as temporary:
                JournalFileBackend(str(temporary)).append_logs(self._unwritten)
            self._overwrite = False
        else:
            # Held for milliseconds, unless its holder is killed meanwhile. Optuna links the lock to
            # the file, and cannot read the age of a lock whose relative link leads nowhere.
            name = str(self._path.absolute())
            lock = JournalFileSymlinkLock(name, grace_period=_LOCK_GRACE_PERIOD_S)
            JournalFileBackend(name, lock).append_logs(self._unwritten)
        self._unwritten = []
