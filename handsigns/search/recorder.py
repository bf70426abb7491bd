"""Ray's events, written into the journal and passed on to whoever watches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ray.tune import Callback

from handsigns.config.study import StudyConfig
from handsigns.files import sweep
from handsigns.search.budget import Ending
from handsigns.search.driver_only import DriverOnly
from handsigns.search.journal import Journal
from handsigns.search.paths import SearchPaths
from handsigns.search.record import Placement, Status, TrialRecord, rank
from handsigns.search.repeats import RepeatSampling
from handsigns.search.sampling import Sampling
from handsigns.search.scheduler import RecordedScheduler
from handsigns.search.searcher import JournalSearcher
from handsigns.training.metrics import EpochMetrics

KEPT_CHECKPOINTS = 3
"""Of the best trials that ended; others are deleted, so that disk use stays bounded."""

_METRICS = tuple(EpochMetrics.__dataclass_fields__)


class Observer(Protocol):
    """Whoever watches a search."""

    def trained(self, record: TrialRecord) -> None:
        """A trial finished an epoch."""

    def noted(self, trial_id: str, note: str) -> None:
        """A trial met something that the user should know of."""

    def lost(self, record: TrialRecord) -> None:
        """A trial's process died; it will go on in another."""

    def ended(self, record: TrialRecord) -> None:
        """A trial came to its end."""


class Recorder(DriverOnly, Callback):  # type: ignore[misc]
    """Records what trials report and how they end; the sampling hears of each end from here."""

    def __init__(
        self,
        study: StudyConfig,
        paths: SearchPaths,
        journal: Journal,
        sampling: Sampling | RepeatSampling,
        scheduler: RecordedScheduler,
        searcher: JournalSearcher,
        ending: Ending,
        observers: Sequence[Observer],
    ) -> None:
        self._study = study
        self._paths = paths
        self._journal = journal
        self._sampling = sampling
        self._scheduler = scheduler
        self._searcher = searcher
        self._ending = ending
        self._observers = observers
        self._kept: list[TrialRecord] = []
        self._keep_best_checkpoints([record for record in journal.records if record.ended])
        self._last_words: dict[str, tuple[Status, str]] = {}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch, or the last word of a trial that diverged, failed or cannot write."""
        trial_id = trial.config["trial_id"]
        if "epoch" in result:
            metrics = EpochMetrics(**{name: result[name] for name in _METRICS})
            placement = Placement(result["node"], result["device"], result["threads"])
            verdict = self._scheduler.verdict
            with self._ending.writing():
                self._journal.report(trial_id, metrics, placement, verdict)
                if verdict is not None and verdict.stop:
                    self._last_words[trial_id] = ("stopped", "")
                for observer in self._observers:
                    observer.trained(self._journal[trial_id])
        elif "note" in result:
            for observer in self._observers:
                observer.noted(trial_id, result["note"])
        elif "unwritten" in result:
            self._ending.break_down(result["unwritten"])
        elif "diverged" in result:
            self._last_words[trial_id] = ("diverged", result["diverged"])
        elif "failed" in result:
            self._last_words[trial_id] = ("failed", result["failed"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial ended by itself or was stopped by the scheduler.

        One that ended for neither reason was cut off with the search, and can be resumed.
        """
        trial_id = trial.config["trial_id"]
        if trial_id in self._last_words:
            self._end(trial_id, *self._last_words.pop(trial_id))
        elif len(self._journal[trial_id].epochs) >= self._study.budget.max_epochs:
            self._end(trial_id, "completed", "")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial's process died: it goes on in another, unless that has happened too often."""
        trial_id, retries = trial.config["trial_id"], self._study.faults.retries
        sweep(self._paths.checkpoints, of=f"{trial_id}.")
        error = f"the trial's process died: {trial.get_error()}"
        if self._journal[trial_id].retries >= retries:
            self._end(trial_id, "failed", f"{error}\nit had been started anew {retries} times")
            return
        with self._ending.writing():
            self._journal.retry(trial_id, error)
            self._searcher.take_up_again(trial_id)
            for observer in self._observers:
                observer.lost(self._journal[trial_id])

    def _end(self, trial_id: str, status: Status, error: str) -> None:
        with self._ending.writing():
            record = self._journal.end(trial_id, status, error)
            self._sampling.finish(record)
            self._keep_best_checkpoints([record])
            for observer in self._observers:
                observer.ended(record)

    def _keep_best_checkpoints(self, ended: Sequence[TrialRecord]) -> None:
        ranked = rank([*self._kept, *ended], self._study.objective)
        self._kept = ranked[:KEPT_CHECKPOINTS]
        spared = {record.trial_id for record in self._kept}
        for record in ranked:
            latest, previous = self._paths.checkpoint_files(record.trial_id)
            previous.unlink(missing_ok=True)
            if record.trial_id not in spared:
                latest.unlink(missing_ok=True)
