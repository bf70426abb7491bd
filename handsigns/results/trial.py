"""What is known of a trial, from its journal; free of torch and Ray."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from handsigns.config.hyperparameters import Scalar, TrialConfig
from handsigns.config.search import Objective
from handsigns.metrics import EpochMetrics

NODE_DIED = "the trial's node died"
PROCESS_DIED = "the trial's process died"
"""With which a trial's error begins where it was taken up again."""

Status = Literal["running", "completed", "stopped", "interrupted", "diverged", "failed"]
"""``completed`` trained all its epochs, ``stopped`` was ended early by the scheduler,
``interrupted`` was cut off by the end of the search and can be resumed, ``diverged`` met a loss
that is not a number, ``failed`` raised an error or lost its process too often."""


@dataclass(frozen=True)
class Placement:
    """Where a trial trained; a replay needs the same kind of device and number of threads."""

    node: str
    device: str
    threads: int


@dataclass(frozen=True)
class Verdict:
    """What the scheduler made of an epoch that reached a rung, and on what grounds.

    Attributes:
        rung: the epoch at which the rung stands.
        value: the trial's, of the objective.
        cutoff: the worst value that goes on; None where nothing was there to compare with.
        earlier: how many trials had reached the rung before.
        stop: whether the trial was stopped.
    """

    rung: float
    value: float
    cutoff: float | None
    earlier: int
    stop: bool


@dataclass(frozen=True)
class Decision:
    """A verdict, with the trial and the epoch it was about."""

    trial_id: str
    epoch: int
    verdict: Verdict


@dataclass(frozen=True)
class Session:
    """One run of a search: from its start, or a resume, to its end, however that came.

    Attributes:
        fingerprint: of the data.
        environment: as `environment.describe_environment` tells it.
    """

    fingerprint: str
    environment: Mapping[str, Any]


class NewTrial(NamedTuple):
    """A trial that is to be begun.

    Attributes:
        trial_id: by which it is known in the search.
        params: what was searched.
        seed: of its training.
        config: all of what it trains.
    """

    trial_id: str
    params: dict[str, Scalar]
    seed: int
    config: TrialConfig


@dataclass(frozen=True)
class TrialRecord:
    """One trial as far as it has come.

    Attributes:
        trial_id: ``0000``, ``0001``, … in the order the searcher chose them.
        config: its hyperparameters.
        params: those that the search space names, as the searcher drew them.
        seed: of its training.
        status: see `Status`.
        epochs: metrics of each epoch trained, in order.
        placement: where its latest epoch was trained; None before the first.
        error: what went wrong, with its traceback; empty otherwise.
        retries: how often it was started anew because its process had died.
        sessions: numbers of those in which its epochs were trained, from 0.
        started_at, ended_at: seconds since the Unix epoch; `ended_at` is None while it runs.
    """

    trial_id: str
    config: TrialConfig
    params: dict[str, bool | int | float | str]
    seed: int
    status: Status
    epochs: tuple[EpochMetrics, ...]
    placement: Placement | None
    error: str
    started_at: float
    ended_at: float | None
    retries: int = 0
    sessions: tuple[int, ...] = ()

    @property
    def last(self) -> EpochMetrics | None:
        """The latest epoch; None where there is none."""
        return self.epochs[-1] if self.epochs else None

    @property
    def ended(self) -> bool:
        """Whether it came to an end of its own; one that was interrupted can go on."""
        return self.status not in ("running", "interrupted")

    @property
    def has_result(self) -> bool:
        """Whether it can be ranked: it has an epoch and neither diverged nor failed."""
        return bool(self.epochs) and self.status not in ("diverged", "failed")

    @property
    def seconds(self) -> float:
        """Time spent in epochs."""
        return sum(epoch.epoch_seconds for epoch in self.epochs)


def rank(records: Iterable[TrialRecord], objective: Objective) -> list[TrialRecord]:
    """Best first, by the objective at each trial's last epoch; ties by the other metric.

    Trials that diverged, failed or have no epoch yet come last, in the order they were begun.
    """
    return sorted(records, key=lambda record: rank_key(record, objective))


def rank_key(record: TrialRecord, objective: Objective) -> tuple[int, float, float, str]:
    """Sorts before another's where the trial is better."""
    last = record.last
    if last is None or not record.has_result:
        return (1, 0.0, 0.0, record.trial_id)
    return (0, *objective.sort_key(last), record.trial_id)
