"""What a tracker is, and what it is told of a search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from handsigns.config.hyperparameters import Scalar
from handsigns.config.search import StudyConfig
from handsigns.data.splits import DataInfo
from handsigns.io.digest import short_digest
from handsigns.metrics import EpochMetrics
from handsigns.results.paths import SearchPaths
from handsigns.results.trial import TrialRecord

METRICS = tuple(name for name in EpochMetrics.__dataclass_fields__ if name != "epoch")
"""What is tracked of each epoch."""


@dataclass(frozen=True)
class TrackedSearch:
    """A search that others are told of."""

    paths: SearchPaths
    study: StudyConfig
    data: DataInfo

    @property
    def name(self) -> str:
        """Of the search."""
        return self.paths.name

    def identity(self) -> str:
        """The same at each resume and in each copy; another for every other search: 16 letters.

        Made from the first line of the journal, which tells the moment when the search began.
        """
        with self.paths.journal.open("rb") as file:
            return short_digest(file.readline())


class Tracker(Protocol):
    """Keeps a tool's picture of a search up to date.

    It is given records, not events: whatever of them the tool does not have yet is written, so that
    a first session, a resumed one, and a search that ended long ago are all the same to it. It runs
    in a thread of its own, and may raise anything.
    """

    name: str

    def open(self, records: Sequence[TrialRecord]) -> None:
        """Find what the tool has; what does not agree with the records so far is dropped."""

    def update(self, record: TrialRecord) -> None:
        """Write what is new in a trial. Trials come in the order they were begun at first."""

    def flush(self) -> None:
        """Several updates are over for now: let readers see them."""

    def close(self, records: Sequence[TrialRecord]) -> None:
        """This session of the search is over; these are all its trials."""


def epoch_values(metrics: EpochMetrics) -> dict[str, float]:
    """An epoch's `METRICS` by name."""
    return {name: getattr(metrics, name) for name in METRICS}


def timed(record: TrialRecord) -> Iterator[tuple[float, EpochMetrics]]:
    """The epochs, each with the time it ended (seconds since the Unix epoch), as near as is known.

    The same every time, so that what is written twice is seen to be the same.
    """
    moment = record.started_at
    for metrics in record.epochs:
        moment += metrics.epoch_seconds
        yield moment, metrics


def description(record: TrialRecord) -> dict[str, Scalar]:
    """What is told of a trial beside its parameters: how it stands, and its last epoch."""
    told: dict[str, Scalar] = {
        "trial_id": record.trial_id,
        "status": record.status,
        "seed": record.seed,
        "epochs": len(record.epochs),
        "seconds": round(record.seconds, 3),
        "retries": record.retries,
    }
    if record.last is not None:
        last = epoch_values(record.last)
        told |= {name: last[name] for name in METRICS if name != "epoch_seconds"}
    if record.placement is not None:
        told["device"] = record.placement.device
    if record.error:
        told["error"] = record.error.strip().rsplit("\n", 1)[-1][:500]
    return told


def mlflow_uri(paths: SearchPaths, study: StudyConfig) -> str:
    """The address of a search's MLflow: a server's, or of a database in the search's folder."""
    place = study.tracking.mlflow
    return (
        place if isinstance(place, str) else f"sqlite:///{(paths.mlflow / 'mlflow.db').resolve()}"
    )
