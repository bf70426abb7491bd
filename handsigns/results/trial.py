"""A trial: what it is to train, what is known of it, how it ranks. Free of torch and Ray."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from handsigns.config.hyperparameters import Scalar, TrialConfig
from handsigns.config.search import Objective
from handsigns.data.folds import Fold
from handsigns.metrics import EpochMetrics

Params = dict[str, Scalar]

Status = Literal["running", "completed", "stopped", "interrupted", "diverged", "failed"]
"""``completed`` trained all its epochs, ``stopped`` was ended early by the scheduler,
``interrupted`` was cut off by the end of the search and can be resumed, ``diverged`` met a loss
that is not a number, ``failed`` raised an error or lost its process too often."""

Lost = Literal["process", "node"]
"""What a trial lost before it was retried: its process alone, or the node with it."""


@dataclass(frozen=True)
class TrialSpec:
    """A trial to be trained.

    Attributes:
        trial_id: ``0000``, ``0001``, … in the order the sampler chose them.
        params: the hyperparameters that the search space names, as the sampler drew them.
        config: all hyperparameters.
        seed: of its training.
        epochs_done: epochs that are recorded already.
        fold: the images held out for validation; None: the data set's own validation split.
    """

    trial_id: str
    params: Params
    config: TrialConfig
    seed: int
    epochs_done: int = 0
    fold: Fold | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads back, ready for JSON."""
        return {
            "trial_id": self.trial_id,
            "params": self.params,
            "config": self.config.hyperparameters(),
            "seed": self.seed,
            "epochs_done": self.epochs_done,
            "fold": None if self.fold is None else asdict(self.fold),
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> TrialSpec:
        """Read a specification back; keys beside its own are ignored.

        Raises:
            KeyError, TypeError, ValueError: something is missing or of the wrong kind.
        """
        fold = fields["fold"]
        return cls(
            trial_id=fields["trial_id"],
            params=fields["params"],
            config=TrialConfig.from_params(fields["config"]),
            seed=fields["seed"],
            epochs_done=fields["epochs_done"],
            fold=None if fold is None else Fold(**fold),
        )


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
        environment: as `environment.describe_environment` returns it.
    """

    fingerprint: str
    environment: Mapping[str, Any]


@dataclass(frozen=True)
class TrialRecord:
    """One trial as far as it has come.

    Attributes:
        trial_id, config, params, seed, fold: see `TrialSpec`.
        status: see `Status`.
        epochs: metrics of each epoch trained, in order.
        placement: where its latest epoch was trained; None before the first.
        error: what went wrong, with its traceback; empty otherwise.
        started_at, ended_at: seconds since the Unix epoch; `ended_at` is None while it runs.
        retries: how often it was retried because its process had died.
        lost: what it lost last; None where it lost nothing, or has been resumed since.
        sessions: numbers of those in which its epochs were trained, from 0.
    """

    trial_id: str
    config: TrialConfig
    params: Params
    seed: int
    status: Status
    epochs: tuple[EpochMetrics, ...]
    placement: Placement | None
    error: str
    started_at: float
    ended_at: float | None
    retries: int = 0
    lost: Lost | None = None
    sessions: tuple[int, ...] = ()
    fold: Fold | None = None

    @property
    def spec(self) -> TrialSpec:
        """The trial as it is to go on."""
        return TrialSpec(
            self.trial_id, self.params, self.config, self.seed, len(self.epochs), self.fold
        )

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
    """Return the trials, best first, by the objective at the last epoch; ties by the other metric.

    Trials that diverged, failed or have no epoch yet come last, in the order they were started.
    """
    return sorted(records, key=lambda record: rank_key(record, objective))


def rank_key(record: TrialRecord, objective: Objective) -> tuple[int, float, float, str]:
    """Return what sorts before another trial's where the trial is better."""
    last = record.last
    if last is None or not record.has_result:
        return (1, 0.0, 0.0, record.trial_id)
    return (0, *objective.sort_key(last), record.trial_id)
