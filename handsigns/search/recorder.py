"""Ray's events, written into the journal and passed on to whoever watches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ray.tune import Callback

from handsigns.config.study import StudyConfig
from handsigns.search.driver_only import DriverOnly
from handsigns.search.journal import Journal
from handsigns.search.paths import SearchPaths
from handsigns.search.record import Placement, Status, TrialRecord, rank
from handsigns.search.sampling import Sampling
from handsigns.training.metrics import EpochMetrics

KEPT_CHECKPOINTS = 3
"""Of the best trials that ended; others are deleted, so that disk use stays bounded."""

_METRICS = tuple(EpochMetrics.__dataclass_fields__)


class Observer(Protocol):
    """Whoever watches a search."""

    def trained(self, record: TrialRecord) -> None:
        """A trial finished an epoch."""

    def ended(self, record: TrialRecord) -> None:
        """A trial came to its end."""


class Recorder(DriverOnly, Callback):  # type: ignore[misc]
    """Records what trials report and how they end; the sampling hears of each end from here."""

    def __init__(
        self,
        study: StudyConfig,
        paths: SearchPaths,
        journal: Journal,
        sampling: Sampling,
        observers: Sequence[Observer],
    ) -> None:
        self._study = study
        self._paths = paths
        self._journal = journal
        self._sampling = sampling
        self._observers = observers
        done = [r for r in journal.records if r.ended]
        self._kept = rank(done, study.objective)[:KEPT_CHECKPOINTS]
        self._last_words: dict[str, tuple[Status, str]] = {}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch, or the last word of a trial that diverged or failed."""
        trial_id = trial.config["trial_id"]
        if "epoch" in result:
            metrics = EpochMetrics(**{name: result[name] for name in _METRICS})
            placement = Placement(result["node"], result["device"], result["threads"])
            self._journal.report(trial_id, metrics, placement)
            for observer in self._observers:
                observer.trained(self._journal[trial_id])
        elif "diverged" in result:
            self._last_words[trial_id] = ("diverged", result["diverged"])
        elif "failed" in result:
            self._last_words[trial_id] = ("failed", result["failed"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial ended by itself or was stopped by the scheduler."""
        trial_id = trial.config["trial_id"]
        trained = len(self._journal[trial_id].epochs)
        usual: Status = "completed" if trained >= self._study.budget.max_epochs else "stopped"
        self._end(trial_id, *self._last_words.pop(trial_id, (usual, "")))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial's process died more often than it is started anew."""
        error = trial.get_error()
        self._end(trial.config["trial_id"], "failed", f"the trial's process died: {error}")

    def _end(self, trial_id: str, status: Status, error: str) -> None:
        record = self._journal.end(trial_id, status, error)
        self._sampling.finish(record)
        self._keep_best_checkpoints(record)
        for observer in self._observers:
            observer.ended(record)

    def _keep_best_checkpoints(self, newest: TrialRecord) -> None:
        ranked = rank([*self._kept, newest], self._study.objective)
        self._kept = ranked[:KEPT_CHECKPOINTS]
        for record in ranked[KEPT_CHECKPOINTS:]:
            self._paths.checkpoint(record.trial_id).unlink(missing_ok=True)
