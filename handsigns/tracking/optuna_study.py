"""The search as an Optuna study in a file, for `optuna.load_study` and optuna-dashboard.

It is a mirror of the journal, written by this process alone; what the sampler knows is kept apart
(`search.sampling`). The file is in the format of Optuna's JournalStorage, lines of JSON: an
operation takes a tenth of the time that it takes in SQLite, and nothing in it is ever unpickled.
Lines are written in batches; a file that was torn, or does not agree with the journal, is made
anew.
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
from handsigns.config.space import Fixed
from handsigns.io.atomic import replacing
from handsigns.policy.optuna_space import distribution
from handsigns.results.trial import Status, TrialRecord
from handsigns.tracking.base import TrackedSearch, description

_LOCK_SECONDS = 3
"""After which a lock on the file counts as left behind; Optuna advises against less."""
_STATES: dict[Status, TrialState] = {
    "running": TrialState.RUNNING,
    "interrupted": TrialState.RUNNING,  # it can go on
    "completed": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass
class _Mirrored:
    """What the file has of a trial."""

    number: int
    epochs: int
    told: dict[str, Any]
    ended: bool


class OptunaStudy:
    """The mirror; see `Tracker`."""

    name = "optuna"

    def __init__(self, search: TrackedSearch, path: Path | None = None) -> None:
        """Mirror the search at its own place, or at another `path`."""
        self._search = search
        self._path = path or search.paths.optuna
        self._trials: dict[str, _Mirrored] = {}

    def open(self, records: Sequence[TrialRecord]) -> None:
        """Go on with the file if it is sound and agrees with the records, or begin it anew."""
        if not self._go_on(records):
            self._begin()

    def update(self, record: TrialRecord) -> None:
        """Write what is new in a trial."""
        known = self._trials.get(record.trial_id)
        if known is None:
            self._add(record)
        elif not known.ended:
            self._append(known, record)

    def flush(self) -> None:
        """Let readers see it."""
        self._lines.flush()

    def close(self, records: Sequence[TrialRecord]) -> None:
        """Nothing more than `flush`."""
        self.flush()

    def _begin(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._lines = _Batches(self._path, anew=True)
        self._storage = JournalStorage(self._lines)
        objective = self._search.study.objective
        direction = StudyDirection.MINIMIZE if objective.minimize else StudyDirection.MAXIMIZE
        self._study = self._storage.create_new_study([direction], self._search.name)
        # As Study.set_metric_names does, which warns that it is experimental.
        self._storage.set_study_system_attr(self._study, "study:metric_names", [objective.metric])
        self._trials = {}

    def _go_on(self, records: Sequence[TrialRecord]) -> bool:
        try:
            if not self._path.read_bytes().endswith(b"\n"):
                return False
            self._lines = _Batches(self._path)
            self._storage = JournalStorage(self._lines)
            self._study = self._storage.get_study_id_from_name(self._search.name)
            trials = self._storage.get_all_trials(self._study, deepcopy=False)
        except Exception:  # no file, or damage of whatever kind
            return False
        by_number = {int(record.trial_id): record for record in records}
        for trial in trials:
            record = by_number.get(trial.number)
            if record is None or not self._agrees(trial, record):
                return False
            self._trials[record.trial_id] = _Mirrored(
                trial._trial_id,
                len(trial.intermediate_values),
                dict(trial.user_attrs),
                trial.state.is_finished(),
            )
        return True

    def _agrees(self, trial: FrozenTrial, record: TrialRecord) -> bool:
        values = self._values(record)
        return (
            trial.user_attrs.get("trial_id") == record.trial_id
            and trial.params == self._searched(record)
            and trial.intermediate_values.items() <= values.items()
            and (
                not trial.state.is_finished()
                or (trial.state == _STATES[record.status] and trial.intermediate_values == values)
            )
        )

    def _add(self, record: TrialRecord) -> None:
        params = self._searched(record)
        trial = optuna.trial.create_trial(
            state=_STATES[record.status],
            params=params,
            distributions={name: distribution(self._search.study.space[name]) for name in params},
            value=self._final(record),
            user_attrs=description(record),
            intermediate_values=self._values(record),
        )
        trial.datetime_start = datetime.fromtimestamp(record.started_at)
        if record.ended and record.ended_at is not None:
            trial.datetime_complete = datetime.fromtimestamp(record.ended_at)
        number = self._storage.create_new_trial(self._study, trial)
        self._trials[record.trial_id] = _Mirrored(
            number, len(record.epochs), trial.user_attrs, record.ended
        )

    def _append(self, known: _Mirrored, record: TrialRecord) -> None:
        for epoch, value in list(self._values(record).items())[known.epochs :]:
            self._storage.set_trial_intermediate_value(known.number, epoch, value)
        told = description(record)
        for name, now in told.items():
            if known.told.get(name) != now:
                self._storage.set_trial_user_attr(known.number, name, now)
        if record.ended:
            final = self._final(record)
            state = _STATES[record.status]
            values = None if final is None else [final]
            self._storage.set_trial_state_values(known.number, state, values)
        known.epochs, known.told, known.ended = len(record.epochs), told, record.ended

    def _searched(self, record: TrialRecord) -> dict[str, Scalar]:
        space = self._search.study.space
        return {n: v for n, v in record.params.items() if not isinstance(space[n], Fixed)}

    def _values(self, record: TrialRecord) -> dict[int, float]:
        objective = self._search.study.objective
        return {metrics.epoch: objective.of(metrics) for metrics in record.epochs}

    def _final(self, record: TrialRecord) -> float | None:
        """The value of a trial that has one, as `Study.tell` would set it."""
        if record.status not in ("completed", "stopped") or not record.epochs:
            return None
        return list(self._values(record).values())[-1]


class _Batches(BaseJournalBackend):  # type: ignore[misc]
    """Optuna's file of operations, to which new ones are written together at each `flush`.

    Args:
        path: of the file.
        anew: an earlier file is replaced, at the first `flush`.
    """

    def __init__(self, path: Path, *, anew: bool = False) -> None:
        self._path = path
        self._anew = anew
        # To Optuna's storage: all so far, then what it writes itself.
        self._unread = [] if anew else list(JournalFileBackend(str(path)).read_logs(0))
        self._unwritten: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The operations since the last call, as the one storage reads each once."""
        unread, self._unread = self._unread, []
        return iter(unread)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Keep operations until the next flush."""
        self._unread += [json.loads(json.dumps(log)) for log in logs]
        self._unwritten += logs

    def flush(self) -> None:
        """Write them under Optuna's lock, as a dashboard may write its users' notes."""
        if not self._unwritten:
            return
        if self._anew:
            with replacing(self._path) as temporary:
                JournalFileBackend(str(temporary)).append_logs(self._unwritten)
            self._anew = False
        else:
            name = str(self._path)
            # Held for milliseconds, unless its holder was killed meanwhile.
            lock = JournalFileSymlinkLock(name, grace_period=_LOCK_SECONDS)
            JournalFileBackend(name, lock).append_logs(self._unwritten)
        self._unwritten = []
