"""Sections of a search space on what is searched and how, each with its defaults and limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from handsigns.config.duration import parse_duration
from handsigns.config.parameters import ConfigFloat, ConfigInt
from handsigns.config.quantity import parse_bytes, parse_count, parse_milliseconds
from handsigns.console.format import format_metric
from handsigns.metrics import METRICS, Direction, EpochMetrics, Metric

GRACE_PERIOD_DIVISOR, PROMOTION_GRACE_PERIOD_DIVISOR = 6, 12
"""The default grace period is the epoch budget divided by one of these, the latter for
``asha_promotion``: from a sixth on, the averaged weights predict a trial's final result
(docs/explanation/evidence.md); a trial that is only paused can be judged earlier
(docs/explanation/search-policy.md)."""
REDUCTION_FACTOR, PROMOTION_REDUCTION_FACTOR = 3.0, 2.0
"""Default reduction factors, the latter for ``asha_promotion``."""
MAX_SEEDS = 1000
"""Limit on the seeds of a re-evaluation or a retraining."""


class Section(BaseModel):
    """Section of a search space."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(Section):
    """Images that belong together."""

    group_by: Annotated[str, Field(min_length=1)] | None = None
    """Groups of images that held-out splits and folds keep together, in addition to
    near-duplicates: ``folder`` (the path below the class folder), the name of a CSV file in the
    data folder (columns image and group), or a regular expression searched in file names, whose
    first group, or whole match, names the group."""


class Objective(Section):
    """Objective of the search, measured on the validation split after a trial's last epoch."""

    metric: Metric = "val_loss"
    """Metric to optimise: ``val_loss``, ``val_accuracy``, ``val_balanced_accuracy`` (mean recall of
    the classes) or ``val_macro_f1`` (mean of their F1 scores). Ties of a score are broken by the
    loss, those of the loss by accuracy."""
    direction: Direction | None = Field(default=None, validate_default=True)
    """Direction of optimisation; follows from the metric and can be omitted."""

    @field_validator("direction")
    @classmethod
    def _follow_metric(cls, direction: Direction | None, info: ValidationInfo) -> Direction | None:
        if "metric" not in info.data:  # it is invalid
            return direction
        metric: Metric = info.data["metric"]
        expected = METRICS[metric].direction
        if direction not in (None, expected):
            raise ValueError(
                f"{direction} contradicts {metric}, which the search must {expected}; omit "
                f"direction"
            )
        return expected

    @property
    def minimize(self) -> bool:
        """Whether lower is better."""
        return self.direction == "minimize"

    @property
    def label(self) -> str:
        """Name of the metric in prose."""
        return METRICS[self.metric].label

    @property
    def is_score(self) -> bool:
        """Whether the metric is a score in [0, 1] rather than a loss in nats."""
        return METRICS[self.metric].is_score

    @property
    def score(self) -> Metric:
        """Score that is shown and compared: the metric if it is one, else accuracy."""
        return self.metric if self.is_score else "val_accuracy"

    @property
    def score_label(self) -> str:
        """Name of the score in prose."""
        return METRICS[self.score].label

    def value_of(self, metrics: EpochMetrics) -> float:
        """Return the objective's value after an epoch."""
        return float(getattr(metrics, self.metric))

    def score_of(self, metrics: EpochMetrics) -> float:
        """Return the score after an epoch, in [0, 1]; see `score`."""
        return float(getattr(metrics, self.score))

    def sort_key(self, metrics: EpochMetrics) -> tuple[float, float]:
        """Return a key that sorts better epochs first; loss, or the score, breaks ties."""
        loss, score = metrics.val_loss, -self.score_of(metrics)
        return (score, loss) if self.is_score else (loss, score)

    def to_minimize(self, value: float) -> float:
        """Return the value, negated if necessary so that lower is better."""
        return value if self.minimize else -value

    def format(self, value: float) -> str:
        """Return a value as text."""
        return format_metric(self.metric, value)


MAX_TRIALS = 1_000_000
"""Largest number of trials, which is also that of a grid."""


class Budget(Section):
    """Stopping criteria of the search."""

    trials: ConfigInt = Field(default=30, ge=1, le=MAX_TRIALS)
    """Number of trials; by default all configurations of a grid."""
    max_epochs: ConfigInt = Field(default=30, ge=1, le=100_000)
    """Epochs of a trial that is not stopped early; the learning-rate schedule spans them."""
    time_budget: Annotated[float, BeforeValidator(parse_duration)] | None = None
    """Time limit of the search in seconds."""
    target: Annotated[ConfigFloat, Field(gt=0, le=1)] | None = None
    """Validation score at which the search stops: the objective's if it is a score, else
    accuracy."""
    patience: Annotated[ConfigInt, Field(ge=1)] | Literal["auto"] | None = None
    """Consecutive trials without improvement after which the search stops; ``auto`` stops it once
    another quarter of its time would bring a better winner with a chance of less than 20 %."""


class Scheduler(Section):
    """Early stopping of trials."""

    name: Literal["asha_promotion", "asha", "median", "hyperband", "none"] = "asha_promotion"
    """Early-stopping rule: ``asha_promotion`` pauses trials at rungs and continues the best;
    ``asha``, ``median`` and ``hyperband`` stop them; ``none`` trains every trial to the end."""
    grace_period: Annotated[ConfigInt, Field(ge=1)] | None = None
    """Minimum number of epochs of every trial; by default a twelfth of `max_epochs` with
    ``asha_promotion``, a sixth with others."""
    reduction_factor: Annotated[ConfigFloat, Field(gt=1, le=100)] | None = None
    """Inverse of the fraction of trials that continue beyond each rung; by default 2 with
    ``asha_promotion``, 3 with others."""

    @property
    def has_rungs(self) -> bool:
        """Whether the rule compares trials at rungs."""
        return self.name in ("asha_promotion", "asha", "hyperband")


class Searcher(Section):
    """Sampler of the configurations to try."""

    name: Literal["tpe", "random", "grid", "cmaes", "gp", "qmc"] = "tpe"
    """Sampling algorithm; ``tpe`` is univariate: it samples each hyperparameter independently."""
    startup_trials: Annotated[ConfigInt, Field(ge=1)] | None = None
    """Number of trials that must have ended or paused before the sampler uses results, with
    ``cmaes`` and ``gp`` have been trained to the end; until then, the recommended recipe and random
    configurations are tried (default 10)."""

    @property
    def uses_results(self) -> bool:
        """Whether the sampler learns from the results of trials."""
        return self.name in ("tpe", "cmaes", "gp")

    @property
    def needs_completed_trials(self) -> bool:
        """Whether the sampler learns only from trials that were trained to the end."""
        return self.name in ("cmaes", "gp")


class Reevaluation(Section):
    """Re-evaluation of the top trials with fresh seeds, before the winner is selected."""

    top: ConfigInt = Field(default=3, ge=0, le=1000)
    """Number of top configurations; 0 disables re-evaluation, and the leaderboard's first wins."""
    seeds: ConfigInt = Field(default=3, ge=1, le=MAX_SEEDS)
    """Number of fresh seeds, the same for each configuration."""
    folds: ConfigInt = Field(default=0, ge=0, le=100)
    """Number of folds for cross-validation over training and validation images, repeated for every
    seed; 0 keeps the validation split."""
    time_budget: Annotated[float, BeforeValidator(parse_duration)] | None = None
    """Time limit in seconds; the runs that all configurations finished by then are compared."""

    @model_validator(mode="after")
    def _two_folds(self) -> Reevaluation:
        if self.folds == 1:
            raise ValueError("folds is 1, which leaves nothing to train on; use 0, or 2 or more")
        return self


class Limits(Section):
    """Limits on the network, such as a phone sets; a configuration that exceeds one is never
    started."""

    parameters: Annotated[int, BeforeValidator(parse_count)] | None = None
    """Largest number of parameters: `200k`, `1.5M`."""
    model_bytes: Annotated[int, BeforeValidator(parse_bytes)] | None = None
    """Largest size of the float32 ONNX file, as predicted from the configuration: `500 kB`,
    `1 MB`."""
    latency_ms: Annotated[float, BeforeValidator(parse_milliseconds)] | None = None
    """Largest latency of the float32 ONNX graph: the median time for a single image on one CPU
    thread, in milliseconds. Each untrained network is exported and timed once on this machine
    before the search; with `latency_table`, that table's latencies are used instead."""
    latency_table: Annotated[str, Field(min_length=1)] | None = None
    """Path of the table of latencies that `handsigns latency SPACE --data DIR` measured, on this
    machine or on another device, relative to the current folder."""

    @model_validator(mode="after")
    def _table_is_used(self) -> Limits:
        if self.latency_table is not None and self.latency_ms is None:
            raise ValueError("latency_table is given without latency_ms; give the limit, too")
        return self

    @property
    def enabled(self) -> tuple[str, ...]:
        """Names of the limits that are set."""
        names = ("parameters", "model_bytes", "latency_ms")
        return tuple(name for name in names if getattr(self, name) is not None)
