"""Ray's events, written into the journal and passed on to whoever watches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from ray.tune import Callback

from handsigns.config.search import StudyConfig
from handsigns.metrics import EpochMetrics
from handsigns.policy.sampler import Sampling
from handsigns.policy.stopping import Ending
from handsigns.results.checkpoints import Checkpoints
from handsigns.results.journal import Journal
from handsigns.results.reevaluation import RepeatSampling
from handsigns.results.trial import NODE_DIED, PROCESS_DIED, Placement, Status, TrialRecord, rank
from handsigns.tuning.not_pickled import DriverOnly
from handsigns.tuning.scheduler import RecordedScheduler
from handsigns.tuning.searcher import JournalSearcher

KEPT_CHECKPOINTS = 3
"""Of the best trials that ended; others are deleted, so that disk use stays bounded."""

_NODE_LOST = "its node has died"
"""Ray's words, in which alone it tells."""
_NODE_LOSSES = 10
"""Of a trial, before it is the trial that is suspected."""

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
        checkpoints: Checkpoints,
        journal: Journal,
        sampling: Sampling | RepeatSampling,
        scheduler: RecordedScheduler,
        searcher: JournalSearcher,
        ending: Ending,
        observers: Sequence[Observer],
    ) -> None:
        self._study = study
        self._checkpoints = checkpoints
        self._journal = journal
        self._sampling = sampling
        self._scheduler = scheduler
        self._searcher = searcher
        self._ending = ending
        self._observers = observers
        self._kept: list[TrialRecord] = []
        self._keep_best_checkpoints([record for record in journal.records if record.ended])
        self._last_words: dict[str, tuple[Status, str]] = {}
        self._nodes_lost: Counter[str] = Counter()

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
        """A trial's process died: it goes on in another, unless that has happened too often. That
        its whole node is gone is no fault of the trial's, and does not count.
        """
        trial_id, retries = trial.config["trial_id"], self._study.faults.retries
        self._checkpoints.place.sweep(of=f"{trial_id}.")
        # Not by `get_error`, which reads a copy that may be made later.
        cause = Path(trial.error_file).read_text(encoding="utf-8")
        node_lost = _NODE_LOST in cause and self._nodes_lost[trial_id] < _NODE_LOSSES
        self._nodes_lost[trial_id] += node_lost
        error = f"{NODE_DIED if node_lost else PROCESS_DIED}: {cause}"
        if not node_lost and self._journal[trial_id].retries >= retries:
            self._end(trial_id, "failed", f"{error}\nit had been started anew {retries} times")
            return
        with self._ending.writing():
            self._journal.retry(trial_id, error, counted=not node_lost)
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
            if record.trial_id in spared:
                self._checkpoints.remove_previous(record.trial_id)
            else:
                self._checkpoints.remove(record.trial_id)
