"""The search in Weights & Biases: a run for each trial, all in a group of the search's name.

Offline, unless the user has set WANDB_MODE. W&B cannot add to a run that was written offline by an
earlier process, so what is not whole there is written anew from the record.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb

from handsigns.results.trial import TrialRecord
from handsigns.tracking.base import METRICS, TrackedSearch, description, epoch_values

PROJECT = "handsigns"
_WHOLE = "handsigns-whole"
"""A file beside a run that was written to its end."""


class WandbRuns:
    """Runs in the folder `wandb`; see `Tracker`."""

    name = "wandb"

    def __init__(self, search: TrackedSearch) -> None:
        self._search = search
        self._mode = os.environ.get("WANDB_MODE", "offline")
        self._runs: dict[str, Any] = {}
        self._logged: dict[str, int] = {}
        self._whole: set[str] = set()
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # nothing is sent unasked

    def open(self, records: Sequence[TrialRecord]) -> None:
        """See which trials are there whole."""
        self._identity = self._search.identity()
        for record in records:
            if record.ended and any((f / _WHOLE).exists() for f in self._folders(record.trial_id)):
                self._whole.add(record.trial_id)

    def update(self, record: TrialRecord) -> None:
        """Log a trial's new epochs; finish its run where it ended."""
        trial_id = record.trial_id
        if trial_id in self._whole:
            return
        run = self._runs.get(trial_id) or self._begin(record)
        for metrics in record.epochs[self._logged[trial_id] :]:
            run.log(epoch_values(metrics), step=metrics.epoch)
        self._logged[trial_id] = len(record.epochs)
        if record.ended:
            self._finish(record, failed=record.status in ("failed", "diverged"))
            self._whole.add(trial_id)
            for folder in self._folders(trial_id):
                (folder / _WHOLE).touch()

    def flush(self) -> None:
        """W&B's own process writes as it sees fit."""

    def close(self, records: Sequence[TrialRecord]) -> None:
        """Finish the runs of trials that were cut off."""
        for record in records:
            if record.trial_id in self._runs:
                self._finish(record, failed=True)

    def write_winner(self, config: Mapping[str, Any], results: Mapping[str, Any]) -> None:
        """Write the winner as a run of its own in the group; an earlier one offline goes.

        Args:
            config: its hyperparameters.
            results: of its retraining and its test, for the run's summary.
        """
        self._identity = self._search.identity()
        run = self._init("winner", dict(config))
        run.summary.update(dict(results))
        run.finish()

    def _begin(self, record: TrialRecord) -> Any:
        run = self._init(record.trial_id, dict(record.params))
        for name in METRICS:
            run.define_metric(name, summary="last")
        self._runs[record.trial_id] = run
        self._logged[record.trial_id] = 0
        return run

    def _finish(self, record: TrialRecord, *, failed: bool) -> None:
        run = self._runs.pop(record.trial_id)
        run.summary.update(description(record))
        run.finish(exit_code=int(failed))

    def _init(self, what: str, config: dict[str, Any]) -> Any:
        for folder in self._folders(what):
            if folder.name.startswith("offline-"):
                shutil.rmtree(folder)
        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            group=self._search.name,
            job_type="winner" if what == "winner" else "trial",
            id=f"{self._identity}-{what}",
            name=f"{self._search.name}-{what}",
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

    def _folders(self, what: str) -> Iterator[Path]:
        return self._search.paths.wandb.glob(f"*run-*-{self._identity}-{what}")
