"""Ray's events, written into the journal and passed on to whoever watches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ray.tune import Callback

from handsigns.cluster.ray_compat import loss_of
from handsigns.config.search import StudyConfig
from handsigns.console.format import counted
from handsigns.metrics import EpochMetrics
from handsigns.policy.source import TrialSource
from handsigns.policy.stopping import StoppingCriteria
from handsigns.results.checkpoints import Checkpoints
from handsigns.results.journal import Journal
from handsigns.results.observer import Observer
from handsigns.results.trial import Lost, Placement, Status
from handsigns.tuning.checkpoint_retention import CheckpointRetention
from handsigns.tuning.messages import TrialReport
from handsigns.tuning.not_pickled import NotPickled
from handsigns.tuning.scheduler import ReplayableScheduler
from handsigns.tuning.searcher import JournalSearcher

_NODE_LOSSES = 10
"""Of a trial, before it is the trial that is suspected."""


class Recorder(NotPickled, Callback):  # type: ignore[misc]
    """Records what trials report and how they end; the source hears of each end from here."""

    def __init__(
        self,
        study: StudyConfig,
        checkpoints: Checkpoints,
        journal: Journal,
        source: TrialSource,
        scheduler: ReplayableScheduler,
        searcher: JournalSearcher,
        stopping: StoppingCriteria,
        observers: Sequence[Observer],
    ) -> None:
        self._study = study
        self._checkpoints = checkpoints
        self._journal = journal
        self._source = source
        self._scheduler = scheduler
        self._searcher = searcher
        self._stopping = stopping
        self._observers = observers
        ended = [record for record in journal.records if record.ended]
        self._retention = CheckpointRetention(checkpoints, study.objective, ended)
        self._pending_status: dict[str, tuple[Status, str]] = {}
        self._nodes_lost: Counter[str] = Counter()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Handle a report."""
        trial_id, report = trial.config["trial_id"], TrialReport.from_dict(result)
        match report:
            case TrialReport(
                kind="epoch", metrics=EpochMetrics() as metrics, placement=Placement() as placement
            ):
                self._on_epoch(trial_id, metrics, placement)
            case TrialReport(kind="note"):
                for observer in self._observers:
                    observer.on_note(trial_id, report.text)
            case TrialReport(kind="storage_lost"):
                self._stopping.abort(report.text)
            case TrialReport(kind="diverged" | "failed" as status):
                self._pending_status[trial_id] = (status, report.text)

    def _on_epoch(self, trial_id: str, metrics: EpochMetrics, placement: Placement) -> None:
        verdict = self._scheduler.verdict(trial_id, metrics.epoch)
        with self._stopping.writing():
            self._journal.report(trial_id, metrics, placement, verdict)
            if verdict is not None and verdict.stop:
                self._pending_status[trial_id] = ("stopped", "")
            for observer in self._observers:
                observer.on_epoch(self._journal[trial_id])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Handle the end of a trial that ended by itself or was stopped by the scheduler.

        One that ended for neither reason was interrupted with the search, and can be resumed.
        """
        trial_id = trial.config["trial_id"]
        if trial_id in self._pending_status:
            self._end(trial_id, *self._pending_status.pop(trial_id))
        elif len(self._journal[trial_id].epochs) >= self._study.budget.max_epochs:
            self._end(trial_id, "completed", "")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Handle the death of a trial's process: the trial is retried, unless that has happened too
        often. That its whole node is gone is no fault of the trial's, and does not count.
        """
        trial_id, retries = trial.config["trial_id"], self._study.faults.retries
        self._checkpoints.place.sweep(of=f"{trial_id}.")
        node_gone, cause = loss_of(trial)
        lost: Lost = "process"
        if node_gone and self._nodes_lost[trial_id] < _NODE_LOSSES:
            self._nodes_lost[trial_id] += 1
            lost = "node"
        error = f"the trial's {lost} died: {cause}"
        if lost == "process" and self._journal[trial_id].retries >= retries:
            self._end(
                trial_id, "failed", f"{error}\nit had been restarted {counted(retries, 'time')}"
            )
            return
        with self._stopping.writing():
            self._journal.retry(trial_id, lost, error)
            self._searcher.requeue(trial_id)
            for observer in self._observers:
                observer.on_worker_lost(self._journal[trial_id])

    def _end(self, trial_id: str, status: Status, error: str) -> None:
        with self._stopping.writing():
            record = self._journal.end(trial_id, status, error)
            self._source.finish(record)
            self._retention.add(record)
            for observer in self._observers:
                observer.on_trial_end(record)
