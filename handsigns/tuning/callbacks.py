"""Tune callback that writes trial events to the journal and notifies observers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ray.tune import Callback

from handsigns.cluster.ray_compat import get_failure_cause
from handsigns.config.search import SearchConfig
from handsigns.console.format import pluralize
from handsigns.metrics import EpochMetrics
from handsigns.policy.source import TrialSource
from handsigns.policy.stopping import StoppingCriteria
from handsigns.results.checkpoints import CheckpointStore
from handsigns.results.journal import Journal
from handsigns.results.observer import Observer
from handsigns.results.trial import FAILURES, LossScope, Placement, Status
from handsigns.tuning.checkpoint_retention import CheckpointRetention
from handsigns.tuning.not_pickled import NotPickled
from handsigns.tuning.protocol import TrialReport
from handsigns.tuning.scheduler import ReplayableScheduler
from handsigns.tuning.searcher import JournalSearcher

_MAX_NODE_LOSSES = 10
"""Node losses of a trial after which the trial itself is suspected as the cause."""


class JournalCallback(NotPickled, Callback):  # type: ignore[misc]
    """Recorder of the trials' reports and results, which also notifies the trial source."""

    def __init__(
        self,
        search_config: SearchConfig,
        checkpoints: CheckpointStore,
        journal: Journal,
        source: TrialSource,
        scheduler: ReplayableScheduler,
        searcher: JournalSearcher,
        stopping: StoppingCriteria,
        observers: Sequence[Observer],
        retention: CheckpointRetention,
    ) -> None:
        self._config = search_config
        self._checkpoints = checkpoints
        self._journal = journal
        self._source = source
        self._scheduler = scheduler
        self._searcher = searcher
        self._stopping = stopping
        self._observers = observers
        self._retention = retention
        self._pending_status: dict[str, tuple[Status, str]] = {}
        self._node_losses: Counter[str] = Counter()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note that the trial's checkpoint is in use."""
        trial_id = trial.config["trial_id"]
        self._retention.remove_running(trial_id)
        for observer in self._observers:
            observer.on_trial_start(self._journal[trial_id])

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Handle a report of a trial."""
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
        verdict = self._scheduler.pop_verdict(trial_id, metrics.epoch)
        with self._stopping.abort_on_write_error():
            self._journal.report_epoch(trial_id, metrics, placement, verdict)
            record = self._journal[trial_id]
            action = None if verdict is None else verdict.action
            if action == "stop":
                self._pending_status[trial_id] = ("stopped", "")
            if action == "pause":
                self._source.on_trial_pause(record, metrics.epoch)
                self._retention.add_paused(record)
            for observer in self._observers:
                observer.on_epoch(record)
                if action == "pause":
                    observer.on_trial_pause(record)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record the end of a trial that completed, was stopped, diverged or failed.

        Any other trial has paused, or was interrupted along with the search, and can continue.
        """
        trial_id = trial.config["trial_id"]
        if trial_id in self._pending_status:
            self._end_trial(trial_id, *self._pending_status.pop(trial_id))
        elif len(self._journal[trial_id].epochs) >= self._config.budget.max_epochs:
            self._end_trial(trial_id, "completed", "")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Retry a trial whose process died, up to `max_retries` times.

        The loss of its node is not the trial's fault and does not count as a retry.
        """
        trial_id, retries = trial.config["trial_id"], self._config.fault_tolerance.max_retries
        self._checkpoints.storage.remove_temporary_files(prefix=f"{trial_id}.")
        node_died, cause = get_failure_cause(trial)
        lost: LossScope = "process"
        if node_died and self._node_losses[trial_id] < _MAX_NODE_LOSSES:
            self._node_losses[trial_id] += 1
            lost = "node"
        died = f"the trial's {lost} died"
        if lost == "process" and self._journal[trial_id].retries >= retries:
            # Ray's text may be long, and is cut where a line must suffice.
            restarted = f"after it had been restarted {pluralize(retries, 'time')}"
            self._end_trial(trial_id, "failed", f"{died}, {restarted}: {cause}")
            return
        with self._stopping.abort_on_write_error():
            self._journal.record_worker_lost(trial_id, lost, f"{died}: {cause}")
            self._searcher.requeue(trial_id)
            for observer in self._observers:
                observer.on_worker_lost(self._journal[trial_id])

    def _end_trial(self, trial_id: str, status: Status, error: str) -> None:
        with self._stopping.abort_on_write_error():
            record = self._journal.end_trial(trial_id, status, error)
            self._source.on_trial_complete(record)
            if status in FAILURES:
                self._scheduler.on_failure(trial_id)
            self._retention.add(record)
            for observer in self._observers:
                observer.on_trial_end(record)
