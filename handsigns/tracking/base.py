"""The tracker interface, and the data that trackers receive."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from handsigns.config.hyperparameters import Scalar
from handsigns.config.search import SearchConfig
from handsigns.data.splits import DataInfo
from handsigns.io.digest import short_digest
from handsigns.metrics import EpochMetrics
from handsigns.results.paths import SearchPaths
from handsigns.results.trial import TrialRecord

TRACKED_METRICS = tuple(name for name in EpochMetrics.__dataclass_fields__ if name != "epoch")
"""Metrics tracked for each epoch."""


@dataclass(frozen=True)
class TrackedSearch:
    """A search that is exported to trackers."""

    paths: SearchPaths
    config: SearchConfig
    data: DataInfo

    @property
    def name(self) -> str:
        """Name of the search."""
        return self.paths.name

    def search_id(self) -> str:
        """Return an ID of 16 hex digits, unique to the search and kept by resumes and copies.

        Derived from the first line of the journal, which has the start time of the search.
        """
        with self.paths.journal.open("rb") as file:
            return short_digest(file.readline())

    def export_command(self, tool: str) -> str:
        """Return the command that exports the search to a tracker, on its server if it has one."""
        address = getattr(self.config.tracking, tool)
        target = f"{tool}={address}" if isinstance(address, str) else tool
        return self.paths.command("track", "--to", target)


class Tracker(Protocol):
    """Interface to an experiment tracker, which it keeps up to date with a search.

    A tracker receives records, not events, and writes whatever the tool lacks, so that first
    sessions, resumed ones and finished searches need no distinction. It runs in its own thread and
    may raise any exception.
    """

    name: str

    def open(self, records: Sequence[TrialRecord]) -> None:
        """Look up what the tool has, and drop what disagrees with the records so far."""

    def update(self, record: TrialRecord) -> None:
        """Write what is new in a trial; trials arrive in the order of their first start."""

    def flush(self) -> None:
        """Make the updates so far visible to readers."""

    def close(self, records: Sequence[TrialRecord]) -> None:
        """End this session of the search; `records` has all its trials."""


def metric_values(metrics: EpochMetrics) -> dict[str, float]:
    """Return an epoch's `TRACKED_METRICS` by name, without those that were not recorded."""
    values = {name: getattr(metrics, name) for name in TRACKED_METRICS}
    return {name: value for name, value in values.items() if not math.isnan(value)}


def timestamped_epochs(record: TrialRecord) -> Iterator[tuple[float, EpochMetrics]]:
    """Yield the epochs, each with its approximate end time (seconds since the Unix epoch).

    The times are reproducible, so that metrics logged twice are recognised as the same.
    """
    timestamp = record.started_at
    for metrics in record.epochs:
        timestamp += metrics.epoch_seconds
        yield timestamp, metrics


def trial_attributes(record: TrialRecord) -> dict[str, Scalar]:
    """Return a trial's attributes except its parameters: status, last epoch's metrics, …"""
    attributes: dict[str, Scalar] = {
        "trial_id": record.trial_id,
        "status": record.status,
        "seed": record.seed,
        "epochs": len(record.epochs),
        "seconds": round(record.seconds, 3),
        "retries": record.retries,
    }
    if record.last_epoch is not None:
        last = metric_values(record.last_epoch)
        attributes |= {name: last[name] for name in last if name != "epoch_seconds"}
    if record.placement is not None:
        attributes["device"] = record.placement.device
    if record.error:
        attributes["error"] = record.error_summary
    return attributes


def mlflow_uri(paths: SearchPaths, search_config: SearchConfig) -> str:
    """Return the tracking URI of a search: a server, or a database in the search's folder."""
    server = search_config.tracking.mlflow
    if isinstance(server, str):
        return server
    path = str((paths.mlflow / "mlflow.db").resolve())
    # Nothing else: MLflow also creates the folder of the encoded path.
    return "sqlite:///" + path.replace("%", "%25").replace("?", "%3F")
