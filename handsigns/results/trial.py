"""Trials: specification, record, placement, verdict and ranking. No torch or Ray."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from handsigns.config.hyperparameters import Scalar, TrialConfig
from handsigns.config.sections import Objective
from handsigns.console.failure import parse_failure
from handsigns.data.folds import Fold
from handsigns.metrics import EpochMetrics
from handsigns.results.networks import NetworkProfile, network_from_dict, network_to_dict

Params = dict[str, Scalar]

Status = Literal["running", "completed", "stopped", "paused", "interrupted", "diverged", "failed"]
"""Status of a trial: ``completed`` trained all its epochs, ``stopped`` was stopped early by the
scheduler or still paused when the search ended, ``paused`` waits at a rung until the scheduler
promotes it, ``interrupted`` ended with the search and can be resumed, ``diverged`` had a non-finite
loss, ``failed`` raised an error or lost its process too often."""
FAILURES: tuple[Status, ...] = ("failed", "diverged")
"""Statuses of trials that have ended without a result."""

Action = Literal["continue", "pause", "stop"]
"""What a trial does after an epoch."""

LossScope = Literal["process", "node"]
"""Extent of a loss after which a trial is retried: its process alone, or its whole node."""


FIRST_TRIAL_ID = "0000"
"""ID of a search's first trial, which has the recommended recipe if the search tries that."""


@dataclass(frozen=True)
class TrialSpec:
    """Specification of a trial to train.

    Attributes:
        trial_id: ``0000``, ``0001``, … in the order of sampling.
        params: hyperparameters of the search space, as sampled.
        config: all hyperparameters.
        seed: seed of the training.
        epochs_done: number of epochs already recorded.
        fold: images held out for validation; None: the data set's own validation split.
        network: size and latency of its network; None in a search without limits.
    """

    trial_id: str
    params: Params
    config: TrialConfig
    seed: int
    epochs_done: int = 0
    fold: Fold | None = None
    network: NetworkProfile | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON, as `from_dict` reads them."""
        return {
            "trial_id": self.trial_id,
            "params": self.params,
            "config": self.config.hyperparameters(),
            "seed": self.seed,
            "epochs_done": self.epochs_done,
            "fold": None if self.fold is None else asdict(self.fold),
            "network": network_to_dict(self.network),
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> TrialSpec:
        """Return the specification of these fields; unknown keys are ignored.

        Raises:
            KeyError, TypeError, ValueError: a field is missing or invalid.
        """
        fold = fields["fold"]
        return cls(
            trial_id=fields["trial_id"],
            params=fields["params"],
            config=TrialConfig.from_params(fields["config"]),
            seed=fields["seed"],
            epochs_done=fields["epochs_done"],
            fold=None if fold is None else Fold(**fold),
            network=network_from_dict(fields.get("network")),  # absent in older journals
        )


@dataclass(frozen=True)
class Placement:
    """Where and how a trial is trained; a replay needs the same device and threads.

    Attributes:
        node: host and process.
        device: type of the device and, of a GPU, its name.
        threads: number of CPU threads.
        execution: how steps run: ``cuda graph``, ``eager`` or ``eager: REASON``; empty if unknown,
            as the reports of the process that trained were lost.
    """

    node: str
    device: str
    threads: int
    execution: str = "eager"


@dataclass(frozen=True)
class Verdict:
    """Decision of the scheduler on a trial that reached a rung, and its basis.

    Attributes:
        rung: epoch of the rung.
        value: objective value of the trial.
        cutoff: worst value that continues, apart from that of the recommended recipe; None while
            too few trials have reached the rung.
        num_compared: number of trials that had reached the rung before.
        action: see `Action`.
    """

    rung: float
    value: float
    cutoff: float | None
    num_compared: int
    action: Action


@dataclass(frozen=True)
class Decision:
    """Verdict on a trial at an epoch."""

    trial_id: str
    epoch: int
    verdict: Verdict


@dataclass(frozen=True)
class Session:
    """Session of a search: from a start or resume to its end, orderly or not.

    Attributes:
        fingerprint: fingerprint of the data.
        environment: environment as `environment.describe_environment` returns it.
        trials: number of trials of the budget; None if an earlier version did not record it.
        time_budget: time budget in seconds; None without one.
    """

    fingerprint: str
    environment: Mapping[str, Any]
    trials: int | None = None
    time_budget: float | None = None


@dataclass(frozen=True)
class Conclusion:
    """End of a search by its own criteria, after which it can still be extended.

    Attributes:
        elapsed: seconds that the search had run.
        num_ended: number of trials that had ended for good.
        num_outcomes: number of times that a trial had paused or ended for good.
    """

    elapsed: float
    num_ended: int
    num_outcomes: int


@dataclass(frozen=True)
class TrialRecord:
    """Record of a trial up to its latest event.

    Attributes:
        trial_id, config, params, seed, fold, network: see `TrialSpec`.
        status: see `Status`.
        epochs: metrics of each epoch trained, in order.
        placement: placement of its latest epoch; None before the first.
        error: error message with traceback; empty without an error.
        started_at, ended_at: seconds since the Unix epoch; `ended_at` is None while it runs.
        retries: number of retries after the death of its process.
        loss_scope: scope of its latest loss; None without one, or once it has resumed.
        sessions: numbers of the sessions that trained its epochs, from 0.
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
    loss_scope: LossScope | None = None
    sessions: tuple[int, ...] = ()
    fold: Fold | None = None
    network: NetworkProfile | None = None

    @property
    def spec(self) -> TrialSpec:
        """Specification with which the trial continues."""
        return TrialSpec(
            self.trial_id,
            self.params,
            self.config,
            self.seed,
            len(self.epochs),
            self.fold,
            self.network,
        )

    @property
    def last_epoch(self) -> EpochMetrics | None:
        """Metrics of the latest epoch; None before the first."""
        return self.epochs[-1] if self.epochs else None

    @property
    def is_terminal(self) -> bool:
        """Whether the trial has ended for good; a paused or interrupted one can continue."""
        return self.status not in ("running", "paused", "interrupted")

    @property
    def is_finished(self) -> bool:
        """Whether the trial counts as finished: a paused one may have ended for good."""
        return self.status not in ("running", "interrupted")

    @property
    def has_result(self) -> bool:
        """Whether the trial can be ranked: it has an epoch and neither diverged nor failed."""
        return bool(self.epochs) and self.status not in FAILURES

    @property
    def error_summary(self) -> str:
        """Cause of its error on one line, as `parse_failure` finds it; empty without an error."""
        return str(parse_failure(self.error)) if self.error else ""

    @property
    def seconds(self) -> float:
        """Seconds spent in epochs."""
        return sum((epoch.epoch_seconds for epoch in self.epochs), start=0.0)


def rank(records: Iterable[TrialRecord], objective: Objective) -> list[TrialRecord]:
    """Return the trials, best first, by the objective at the last epoch; ties by the other metric.

    Trials that diverged, failed or have no epoch yet come last, in the order in which they started.
    """
    return sorted(records, key=lambda record: rank_key(record, objective))


def rank_key(record: TrialRecord, objective: Objective) -> tuple[int, float, float, str]:
    """Return the sort key of a trial: smaller is better."""
    last = record.last_epoch
    if last is None or not record.has_result:
        return (1, 0.0, 0.0, record.trial_id)
    return (0, *objective.sort_key(last), record.trial_id)
