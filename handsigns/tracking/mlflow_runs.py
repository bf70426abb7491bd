"""The search in MLflow: a parent run, and in it a run for each trial.

Metrics are logged with the epoch as their step and with times that follow from the record, so that
what is logged twice is the same.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from handsigns.results.trial import TrialRecord, rank
from handsigns.tracking.base import (
    METRICS,
    TrackedSearch,
    description,
    epoch_values,
    mlflow_uri,
    timed,
)

# Nothing is reported to MLflow's makers, nothing is said that the user need not know, and a server
# that is gone is noticed within a minute or so; unless the user has set it otherwise.
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)

from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Metric, Param, Run, RunTag  # noqa: E402

EXPERIMENT = "handsigns"
IDENTITY = "handsigns.search_id"
_TRIAL = "handsigns.trial_id"
_PARENT = "mlflow.parentRunId"
_EPOCHS_A_CALL = 1000 // len(METRICS)
"""MLflow takes up to 1,000 metrics a call."""
_PAGE = 1000


class MlflowRuns:
    """Runs in a local database or on a server; see `Tracker`."""

    name = "mlflow"

    def __init__(self, search: TrackedSearch) -> None:
        self._search = search
        self.uri = mlflow_uri(search.paths, search.study)
        self._local = not isinstance(search.study.tracking.mlflow, str)
        self._epochs: dict[str, int] = {}
        self._told: dict[str, dict[str, str]] = {}

    def open(self, records: Sequence[TrialRecord]) -> None:
        """Find the search's runs, or make its parent run."""
        self.parent = self.find_parent() or self._make_parent(records)
        self._runs = {run.data.tags.get(_TRIAL): run for run in self._children()}
        self.client.update_run(self.parent, status="RUNNING")

    def find_parent(self) -> str | None:
        """The id of the search's run; None where there is none yet."""
        if self._local:
            self._search.paths.mlflow.mkdir(exist_ok=True)
        # Made here, as a new database takes seconds to set up.
        self.client = MlflowClient(self.uri, registry_uri=self.uri)
        self._experiment = self._find_experiment()
        self._identity = self._search.identity()
        found = self.client.search_runs(
            [self._experiment], f"tags.`{IDENTITY}` = '{self._identity}'", max_results=1
        )
        return found[0].info.run_id if found else None

    def update(self, record: TrialRecord) -> None:
        """Log a trial's new epochs, and how it stands."""
        trial_id = record.trial_id
        run = self._runs.get(trial_id)
        if run is not None and run.info.status in ("FINISHED", "FAILED"):
            return
        if trial_id not in self._epochs:
            run = self._take_up(run, record)
        assert run is not None
        run_id = run.info.run_id
        for epochs in self._new_metrics(record):
            self.client.log_batch(run_id, metrics=epochs)
        self._epochs[trial_id] = len(record.epochs)
        self._tell(run_id, record)
        if record.ended_at is not None:
            self.client.set_terminated(run_id, _status(record), int(record.ended_at * 1000))
            self._runs[trial_id] = self.client.get_run(run_id)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self, records: Sequence[TrialRecord]) -> None:
        """Log the best trial's metrics as the search's own, and how the search stands.

        Their names begin with ``best_trial_``; ``best_val_accuracy`` is the maximum within a trial.
        """
        for best in rank(records, self._search.study.objective)[:1]:
            if best.last is not None and best.status not in ("failed", "diverged"):
                self._tell_best(best, len(records))
        done = all(record.ended for record in records)
        self.client.set_terminated(self.parent, "FINISHED" if done else "KILLED")

    def _tell_best(self, best: TrialRecord, trials: int) -> None:
        values = epoch_values(best.last) if best.last else {}
        moment = int((best.ended_at or best.started_at) * 1000)
        for name in ("val_accuracy", "val_loss"):
            self.client.log_metric(self.parent, f"best_trial_{name}", values[name], moment, trials)
        self.client.set_tag(self.parent, "handsigns.best_trial", best.trial_id)

    def _find_experiment(self) -> str:
        found = self.client.get_experiment_by_name(EXPERIMENT)
        if not self._local:  # a server says itself where artifacts go
            return str(found.experiment_id if found else self.client.create_experiment(EXPERIMENT))
        folder = (self._search.paths.mlflow / "artifacts").resolve()
        name = EXPERIMENT
        if found is not None and found.artifact_location != folder.as_uri():
            # The search's folder was moved or copied, but artifacts would still go to the old one.
            name = f"{EXPERIMENT} in {folder.parent}"
            found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        return str(self.client.create_experiment(name, artifact_location=folder.as_uri()))

    def _make_parent(self, records: Sequence[TrialRecord]) -> str:
        search = self._search
        study = search.study
        tags = {"mlflow.runName": search.name, IDENTITY: self._identity}
        began = min((record.started_at for record in records), default=time.time())
        run = self.client.create_run(self._experiment, int(began * 1000), tags)
        params = {
            "objective": study.objective.metric,
            "searcher": study.searcher.name,
            "scheduler": study.scheduler.name,
            "max_epochs": study.budget.max_epochs,
            "seed": study.seed,
            "data": search.data.source,
            "data_fingerprint": search.data.fingerprint,
        }
        self.client.log_batch(run.info.run_id, params=_params(params))
        return str(run.info.run_id)

    def _children(self) -> Iterator[Run]:
        page = None
        while True:
            found = self.client.search_runs(
                [self._experiment],
                f"tags.`{_PARENT}` = '{self.parent}'",
                max_results=_PAGE,
                page_token=page,
            )
            yield from found
            page = found.token
            if not page:
                return

    def _take_up(self, run: Run | None, record: TrialRecord) -> Run:
        """Go on with the run of an earlier session if it agrees with the record, or begin one."""
        self._epochs[record.trial_id] = 0
        if run is not None:
            known = self._known_epochs(run, record)
            if known is None:
                self.client.delete_run(run.info.run_id)
                run = None
            else:
                self._epochs[record.trial_id] = known
                self.client.update_run(run.info.run_id, status="RUNNING")
        if run is None:
            tags = {
                "mlflow.runName": f"{self._search.name}-{record.trial_id}",
                _PARENT: self.parent,
                _TRIAL: record.trial_id,
            }
            began = int(record.started_at * 1000)
            run = self.client.create_run(self._experiment, began, tags)
        self.client.log_batch(run.info.run_id, params=_params(record.params))
        self._runs[record.trial_id] = run
        return run

    def _known_epochs(self, run: Run, record: TrialRecord) -> int | None:
        """How many epochs a run has; None if they are others than the record's."""
        history = self.client.get_metric_history(run.info.run_id, "train_loss")
        known = sorted({(metric.step, metric.value) for metric in history})
        same = [(m.epoch, m.train_loss) for m in record.epochs[: len(known)]] == known
        return len(known) if same else None

    def _new_metrics(self, record: TrialRecord) -> Iterator[list[Metric]]:
        new = itertools.islice(timed(record), self._epochs[record.trial_id], None)
        while chunk := list(itertools.islice(new, _EPOCHS_A_CALL)):
            yield [
                Metric(name, value, int(moment * 1000), metrics.epoch)
                for moment, metrics in chunk
                for name, value in epoch_values(metrics).items()
            ]

    def _tell(self, run_id: str, record: TrialRecord) -> None:
        """Set the tags that are not set so already."""
        told = {
            f"handsigns.{name}": str(value)
            for name, value in description(record).items()
            if name not in METRICS
        }
        before = self._told.get(record.trial_id, {})
        tags = [RunTag(name, value) for name, value in told.items() if before.get(name) != value]
        self.client.log_batch(run_id, tags=tags)
        self._told[record.trial_id] = told


def _status(record: TrialRecord) -> str:
    match record.status:
        case "completed" | "stopped":
            return "FINISHED"
        case "interrupted":
            return "KILLED"
        case _:
            return "FAILED"


def _params(values: Any) -> list[Param]:
    return [Param(name, str(value)[:6000]) for name, value in values.items()]
