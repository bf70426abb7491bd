"""Tracker for MLflow: a parent run for the search, with a nested run for each trial.

Metrics are logged with the epoch as their step and with times derived from the record, so that
logging them twice is idempotent.
"""

from __future__ import annotations

import functools
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from handsigns.metrics import METRICS
from handsigns.results.trial import FAILURES, TrialRecord, rank
from handsigns.tracking.base import (
    TRACKED_METRICS,
    TrackedSearch,
    metric_values,
    mlflow_uri,
    timestamped_epochs,
    trial_attributes,
)

# No telemetry, no output that users do not need, and an unreachable server is noticed within about
# a minute; the user's own settings take precedence.
_MLFLOW_ENV = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}
for _name, _value in _MLFLOW_ENV.items():
    os.environ.setdefault(_name, _value)

from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Metric, Param, Run, RunTag  # noqa: E402

EXPERIMENT = "handsigns"
SEARCH_ID_TAG = "handsigns.search_id"
_TRIAL_ID_TAG = "handsigns.trial_id"
_PARENT_RUN_TAG = "mlflow.parentRunId"
_EPOCHS_PER_BATCH = 1000 // len(TRACKED_METRICS)
"""MLflow accepts up to 1,000 metrics per call."""
_PAGE_SIZE = 1000


class MlflowRuns:
    """Tracker whose runs are in a local database or on a server; see `Tracker`."""

    name = "mlflow"

    def __init__(self, search: TrackedSearch) -> None:
        self._search = search
        self.uri = mlflow_uri(search.paths, search.config)
        self._local = not isinstance(search.config.tracking.mlflow, str)
        self._artifacts = (search.paths.mlflow / "artifacts").resolve()
        self._num_logged: dict[str, int] = {}
        self._logged_tags: dict[str, dict[str, str]] = {}

    @functools.cached_property
    def client(self) -> MlflowClient:
        """Client, created on first use: a new database takes seconds to set up."""
        if self._local:
            self._search.paths.mlflow.mkdir(exist_ok=True)
        return MlflowClient(self.uri, registry_uri=self.uri)

    def open(self, records: Sequence[TrialRecord]) -> None:
        """Find the search's runs, or create its parent run."""
        self._experiment = self._find_or_create_experiment()
        self.parent_run_id = self.find_parent_run() or self._create_parent_run(records)
        self._runs = {run.data.tags.get(_TRIAL_ID_TAG): run for run in self._trial_runs()}
        self.client.update_run(self.parent_run_id, status="RUNNING")

    def find_parent_run(self) -> str | None:
        """Return the ID of the search's run; None if there is none yet."""
        experiment = self.client.get_experiment_by_name(self._experiment_name())
        if experiment is None:
            return None
        found = self.client.search_runs(
            [experiment.experiment_id],
            f"tags.`{SEARCH_ID_TAG}` = '{self._search.search_id()}'",
            max_results=1,
        )
        return found[0].info.run_id if found else None

    def update(self, record: TrialRecord) -> None:
        """Log a trial's new epochs and its status."""
        trial_id = record.trial_id
        run = self._runs.get(trial_id)
        if run is not None and run.info.status in ("FINISHED", "FAILED"):
            return
        if trial_id not in self._num_logged:
            run = self._resume_or_create_run(run, record)
        assert run is not None
        run_id = run.info.run_id
        if record.ended_at is None and run.info.status == "KILLED":  # was paused until now
            self.client.update_run(run_id, status="RUNNING")
            self._runs[trial_id] = self.client.get_run(run_id)
        for epochs in self._unlogged_metrics(record):
            self.client.log_batch(run_id, metrics=epochs)
        self._num_logged[trial_id] = len(record.epochs)
        self._log_tags(run_id, record)
        if record.ended_at is not None:
            self.client.set_terminated(run_id, _status(record), int(record.ended_at * 1000))
            self._runs[trial_id] = self.client.get_run(run_id)

    def flush(self) -> None:
        """Do nothing: every call is written at once."""

    def close(self, records: Sequence[TrialRecord]) -> None:
        """Log the best trial's metrics in the parent run, and set the status of the search.

        Their names start with ``best_trial_``; ``best_val_accuracy`` is the maximum within a trial.
        """
        for best in rank(records, self._search.config.objective)[:1]:
            if best.last_epoch is not None and best.status not in FAILURES:
                self._log_best_trial(best, len(records))
        done = all(record.is_terminal for record in records)
        self.client.set_terminated(self.parent_run_id, "FINISHED" if done else "KILLED")

    def _log_best_trial(self, best: TrialRecord, trials: int) -> None:
        values = metric_values(best.last_epoch) if best.last_epoch else {}
        timestamp = int((best.ended_at or best.started_at) * 1000)
        for name in (name for name in METRICS if name in values):
            self.client.log_metric(
                self.parent_run_id, f"best_trial_{name}", values[name], timestamp, trials
            )
        self.client.set_tag(self.parent_run_id, "handsigns.best_trial", best.trial_id)

    def _experiment_name(self) -> str:
        found = self.client.get_experiment_by_name(EXPERIMENT) if self._local else None
        if found is not None and found.artifact_location != self._artifacts.as_uri():
            # The search's folder was moved or copied, but artifacts would still go to the old one.
            return f"{EXPERIMENT} in {self._artifacts.parent}"
        return EXPERIMENT

    def _find_or_create_experiment(self) -> str:
        name = self._experiment_name()
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        # A server decides where artifacts go.
        location = self._artifacts.as_uri() if self._local else None
        return str(self.client.create_experiment(name, artifact_location=location))

    def _create_parent_run(self, records: Sequence[TrialRecord]) -> str:
        search = self._search
        search_config = search.config
        tags = {"mlflow.runName": search.name, SEARCH_ID_TAG: search.search_id()}
        start_time = min((record.started_at for record in records), default=time.time())
        run = self.client.create_run(self._experiment, int(start_time * 1000), tags)
        params = {
            "objective": search_config.objective.metric,
            "searcher": search_config.searcher.name,
            "scheduler": search_config.scheduler.name,
            "max_epochs": search_config.budget.max_epochs,
            "seed": search_config.seed,
            "data": search.data.source,
            "data_fingerprint": search.data.fingerprint,
        }
        self.client.log_batch(run.info.run_id, params=_params(params))
        return str(run.info.run_id)

    def _trial_runs(self) -> Iterator[Run]:
        page = None
        while True:
            found = self.client.search_runs(
                [self._experiment],
                f"tags.`{_PARENT_RUN_TAG}` = '{self.parent_run_id}'",
                max_results=_PAGE_SIZE,
                page_token=page,
            )
            yield from found
            page = found.token
            if not page:
                return

    def _resume_or_create_run(self, run: Run | None, record: TrialRecord) -> Run:
        """Resume the run of an earlier session if it agrees with the record, or create one."""
        self._num_logged[record.trial_id] = 0
        if run is not None:
            known = self._num_logged_epochs(run, record)
            if known is None:
                self.client.delete_run(run.info.run_id)
                run = None
            else:
                self._num_logged[record.trial_id] = known
                self.client.update_run(run.info.run_id, status="RUNNING")
        if run is None:
            tags = {
                "mlflow.runName": f"{self._search.name}-{record.trial_id}",
                _PARENT_RUN_TAG: self.parent_run_id,
                _TRIAL_ID_TAG: record.trial_id,
            }
            start_time = int(record.started_at * 1000)
            run = self.client.create_run(self._experiment, start_time, tags)
        self.client.log_batch(run.info.run_id, params=_params(record.params))
        self._runs[record.trial_id] = run
        return run

    def _num_logged_epochs(self, run: Run, record: TrialRecord) -> int | None:
        """Return how many epochs a run has; None if they differ from the record's."""
        history = self.client.get_metric_history(run.info.run_id, "train_loss")
        known = sorted({(metric.step, metric.value) for metric in history})
        same = [(m.epoch, m.train_loss) for m in record.epochs[: len(known)]] == known
        return len(known) if same else None

    def _unlogged_metrics(self, record: TrialRecord) -> Iterator[list[Metric]]:
        new = itertools.islice(timestamped_epochs(record), self._num_logged[record.trial_id], None)
        while chunk := list(itertools.islice(new, _EPOCHS_PER_BATCH)):
            yield [
                Metric(name, value, int(timestamp * 1000), metrics.epoch)
                for timestamp, metrics in chunk
                for name, value in metric_values(metrics).items()
            ]

    def _log_tags(self, run_id: str, record: TrialRecord) -> None:
        """Set the tags whose values have changed."""
        tags_now = {
            f"handsigns.{name}": str(value)
            for name, value in trial_attributes(record).items()
            if name not in TRACKED_METRICS
        }
        before = self._logged_tags.get(record.trial_id, {})
        tags = [
            RunTag(name, value) for name, value in tags_now.items() if before.get(name) != value
        ]
        self.client.log_batch(run_id, tags=tags)
        self._logged_tags[record.trial_id] = tags_now


def _status(record: TrialRecord) -> str:
    match record.status:
        case "completed" | "stopped":
            return "FINISHED"
        case "paused" | "interrupted":
            return "KILLED"
        case _:
            return "FAILED"


def _params(values: Any) -> list[Param]:
    return [Param(name, str(value)[:6000]) for name, value in values.items()]
