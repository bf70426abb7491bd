"""Tracker for Weights & Biases: a run for each trial, in a group with the search's name.

Offline, unless the user has set WANDB_MODE. W&B cannot append to a run that an earlier process
wrote offline, so an incomplete one is rewritten from the record.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb

from handsigns.results.trial import FAILURES, TrialRecord
from handsigns.tracking.base import TRACKED_METRICS, TrackedSearch, metric_values, trial_attributes

PROJECT = "handsigns"
_COMPLETE_MARKER = "handsigns-complete"
"""Name of the file that marks a complete run, in its folder."""


class WandbRuns:
    """Tracker that writes runs to the folder `wandb`; see `Tracker`."""

    name = "wandb"

    def __init__(self, search: TrackedSearch) -> None:
        self._search = search
        self._mode = os.environ.get("WANDB_MODE", "offline")
        self._runs: dict[str, Any] = {}
        self._logged: dict[str, int] = {}
        self._finished: set[str] = set()
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # opt-in only

    def open(self, records: Sequence[TrialRecord]) -> None:
        """Look up which trials have complete runs."""
        self._search_id = self._search.search_id()
        for record in records:
            if record.is_terminal and any(
                (f / _COMPLETE_MARKER).exists() for f in self._run_dirs(record.trial_id)
            ):
                self._finished.add(record.trial_id)

    def update(self, record: TrialRecord) -> None:
        """Log a trial's new epochs, and finish its run where the trial ended."""
        trial_id = record.trial_id
        if trial_id in self._finished:
            return
        run = self._runs.get(trial_id) or self._start_run(record)
        for metrics in record.epochs[self._logged[trial_id] :]:
            run.log(metric_values(metrics), step=metrics.epoch)
        self._logged[trial_id] = len(record.epochs)
        if record.is_terminal:
            self._finish_run(record, failed=record.status in FAILURES)
            self._finished.add(trial_id)
            for folder in self._run_dirs(trial_id):
                (folder / _COMPLETE_MARKER).touch()

    def flush(self) -> None:
        """Do nothing: W&B's own process decides when it writes."""

    def close(self, records: Sequence[TrialRecord]) -> None:
        """Finish the runs of interrupted trials."""
        for record in records:
            if record.trial_id in self._runs:
                self._finish_run(record, failed=True)

    def log_winner(self, config: Mapping[str, Any], results: Mapping[str, Any]) -> None:
        """Write the winner as a separate run of the group, in place of an earlier one.

        Args:
            config: hyperparameters of the winner.
            results: results of its retraining and its test, for the run's summary.
        """
        self._search_id = self._search.search_id()
        run = self._init_run("winner", dict(config))
        # Of an earlier winner, if W&B has resumed its run.
        for name in set(run.summary.keys()) - results.keys():
            if not name.startswith("_"):
                del run.summary[name]
        run.summary.update(dict(results))
        run.finish()

    def _start_run(self, record: TrialRecord) -> Any:
        run = self._init_run(record.trial_id, dict(record.params))
        for name in TRACKED_METRICS:
            run.define_metric(name, summary="last")
        self._runs[record.trial_id] = run
        self._logged[record.trial_id] = 0
        return run

    def _finish_run(self, record: TrialRecord, *, failed: bool) -> None:
        run = self._runs.pop(record.trial_id)
        run.summary.update(trial_attributes(record))
        run.finish(exit_code=int(failed))

    def _init_run(self, run_name: str, config: dict[str, Any]) -> Any:
        for folder in self._run_dirs(run_name):
            if folder.name.startswith("offline-"):
                shutil.rmtree(folder)
        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            group=self._search.name,
            job_type="winner" if run_name == "winner" else "trial",
            id=f"{self._search_id}-{run_name}",
            name=f"{self._search.name}-{run_name}",
            dir=self._search.paths.root,
            config=config | {"search": self._search.name},
            mode=self._mode,  # type: ignore[arg-type]
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(
                console="off",
                silent=True,
                x_disable_stats=True,
                x_disable_meta=True,
                disable_git=True,
                disable_code=True,
                x_save_requirements=False,
            ),
        )

    def _run_dirs(self, run_name: str) -> Iterator[Path]:
        return self._search.paths.wandb.glob(f"*run-*-{self._search_id}-{run_name}")
